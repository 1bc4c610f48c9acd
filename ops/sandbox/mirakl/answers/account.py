"""A*, PC01, V01, SH*, RE*, CH11, CUR01: lists that hardly ever change."""

from ops.sandbox.mirakl import settings
from ops.sandbox.mirakl.answers.call import Answer, json

ANSWERS: dict[str, Answer] = {
    "V01": lambda call: json(settings.VERSION),
    "A01": lambda call: json(settings.account(call.contract, call.account)),
    "A21": lambda call: json(settings.statistics(call.account)),
    "PC01": lambda call: json(settings.platform(call.contract, call.account)),
    "SH21": lambda call: json(settings.carriers(call.account)),
    "SH12": lambda call: json(settings.shipping_types(call.account)),
    "RE01": lambda call: json(settings.reasons()),
    "CH11": lambda call: json({"channels": []}),
    "CUR01": lambda call: json({"currencies": [{"code": call.account.currency, "label": call.account.currency, "platform_default": True}]}),
}
