"""A*, PC01, V01, SH*, RE*, CH11, CUR01, OR75: who the seller is, and lists that hardly ever change."""

from ops.sandbox.mirakl import account, lists, scorecard, settings
from ops.sandbox.mirakl.answers.call import Answer, json

ANSWERS: dict[str, Answer] = {
    "V01": lambda call: json(settings.VERSION),
    "A01": lambda call: json(account.shown(call.contract.blank_answer("A01"), call.account, call.at)),
    "A21": lambda call: json(scorecard.statistics(call.account, dict(call.values), call.at)),
    "PC01": lambda call: json(settings.platform(call.contract, call.account)),
    "SH11": lambda call: json(lists.zones()),
    "SH12": lambda call: json(settings.shipping_types(call.account)),
    "SH21": lambda call: json(settings.carriers(call.account)),
    "SH31": lambda call: json(lists.logistic_classes()),
    "SH42": lambda call: json(lists.shipping(call.account)),
    "SH52": lambda call: json(lists.charges(call.account, only_ours=call.values.get("overridden_by_shop"))),
    "RE01": lambda call: json(lists.reasons()),
    "RE02": lambda call: json(lists.reasons_of(call.values["reason_type"])),
    "RE11": lambda call: json(lists.reasons_of("INCIDENT_OPEN", ours=True)),
    "RE12": lambda call: json(lists.reasons_of("INCIDENT_CLOSE", ours=True)),
    "RE14": lambda call: json(lists.reasons_of(lists.MESSAGING, ours=True)),
    "CH11": lambda call: json(lists.channels(call.account)),
    "CUR01": lambda call: json(lists.currencies(call.account)),
    "OR75": lambda call: json(lists.taxes(call.account)),
}
