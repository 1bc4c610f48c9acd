"""What we say of a return: RT21 takes it, RT25 has it, RT26 finds it as it should be."""

from collections.abc import Sequence
from typing import Any

from adapters.http import scrub
from adapters.mirakl import answers, wire
from adapters.mirakl.client import Client
from adapters.mirakl.endpoints import ACCEPT_RETURNS, JUDGE_RETURNS, RECEIVE_RETURNS
from engine.adapter import Answer, Done, Effect, Endpoint, Refused, Task
from engine.errors import UnavailableError, UnknownOutcomeError
from schemas.commands import AnswerReturn
from schemas.events.aftercare import ReturnAnswered

ENDPOINTS: dict[str, Endpoint] = {"accepted": ACCEPT_RETURNS, "received": RECEIVE_RETURNS, "compliant": JUDGE_RETURNS}

# In which states each answer has been given, or can have been given by somebody else.
ANSWERED = {
    "accepted": frozenset({"IN_PROGRESS", "RECEIVED", "NO_RECEPTION", "CLOSED"}),
    "received": frozenset({"RECEIVED", "CLOSED"}),
}


async def answer_return(client: Client, tasks: Sequence[Task[AnswerReturn]]) -> Sequence[Answer]:
    """A success code, whatever became of it: what went wrong stands in the body."""
    [task] = tasks
    command = task.command
    endpoint = ENDPOINTS.get(command.answer)
    if endpoint is None:
        return [Refused(f"nobody can be told that a return is {scrub(command.answer)!r}", field="answer")]
    told: dict[str, Any] = {"id": command.return_id}
    if command.answer == "accepted":
        told["accepted"] = True
    elif command.answer == "compliant":
        told["return_lines"] = [{"order_line_id": line, "compliant": True} for line in await _lines(client, task)]
    reply = await client.send(endpoint, json={"returns": [told]}, expect="json")
    answer = client.read(endpoint, reply, answers.ReturnsAnswered)
    if any(str(each.id) == command.return_id for each in answer.return_success or ()):
        return [_answered(command)]
    for fault in answer.return_errors or ():
        return [Refused(scrub(fault.message or "") or "no reason given")]
    raise UnknownOutcomeError("neither done nor refused", target=client.http.target, endpoint=endpoint.code)


async def _lines(client: Client, task: Task[AnswerReturn]) -> Sequence[str]:
    if task.command.lines:
        return task.command.lines
    theirs = await client.return_of(task.command.return_id, task.command_id)
    lines = [str(line.order_line_id) for line in (theirs.return_lines if theirs is not None else None) or ()]
    if not lines:
        raise UnavailableError("the return is not listed", target=client.http.target, endpoint="RT11")
    return lines


async def look_answered(client: Client, task: Task[AnswerReturn]) -> Done | None:
    theirs = await client.return_of(task.command.return_id, task.command_id)
    return _answered(task.command) if theirs is not None and _is_answered(theirs, task.command) else None


def _is_answered(theirs: wire.Return, command: AnswerReturn) -> bool:
    if command.answer != "compliant":
        return theirs.state in ANSWERED.get(command.answer, frozenset())
    judged = [(str(line.order_line_id), line.compliance or ()) for line in theirs.return_lines or ()]
    ours = [verdicts for line, verdicts in judged if line in command.lines or not command.lines]
    return bool(ours) and all(verdicts and all(verdict.compliant for verdict in verdicts) for verdicts in ours)


def _answered(command: AnswerReturn) -> Done:
    event = ReturnAnswered(channel=command.channel, order_id=command.order_id, return_id=command.return_id, answer=command.answer)
    return Done((Effect(event, f"{command.return_id}:{command.answer}"),))
