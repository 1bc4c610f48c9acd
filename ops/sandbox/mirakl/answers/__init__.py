"""What each operation answers, a family of operations a file; each ends in the table of what it answers."""

from ops.sandbox.mirakl.answers import account, offers, orders
from ops.sandbox.mirakl.answers.call import Answer

ANSWERS: dict[str, Answer] = {**orders.ANSWERS, **offers.ANSWERS, **account.ANSWERS}
