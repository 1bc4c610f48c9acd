"""What must hold of people: that nothing of them stands in clear, and that who is erased is gone. Reliability: P1, P2, P4."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping

from engine.vault import NOTHING
from ops.simulate.invariants.evidence import Breach, Check, Evidence
from schemas.events.privacy import PrivacyAnswered, PrivacyAsked, SubjectErased
from schemas.streams import order_stream
from schemas.values import ChannelId, OrderId


class Private(Check):
    """P1: of people nothing stands in clear, anywhere: every personal text of the sandbox carries a canary, and none is found."""

    invariant = "P1"

    def look(self, evidence: Evidence) -> Iterator[Breach]:
        canary = f"PII-{evidence.truth['seed']}-"
        for told in evidence.log:
            self.judged += 1
            if canary in told.data or canary in told.stream or canary in told.actor:
                yield self.breach(told.stream, f"the event at position {told.position} names a person")
        for row in evidence.outbox:
            if canary in str(row["body"]) or canary in row["subject"]:
                yield self.breach(row["subject"], f"a {row['tag']} in the outbox names a person")
        for name, rows in evidence.rows.items():
            for key, document in rows.items():
                if canary in document.text or canary in key:
                    yield self.breach(f"{name} {key}" if canary not in key else name, "the row names a person")
        for where, text in evidence.told.items():
            if canary in text:
                yield self.breach(where, "names a person")


class Erased(Check):
    """P2: what is erased cannot be had back: the key is gone when the log says so, nothing is sealed for that subject any more, and
    in the end no canary of theirs is found in anything that can still be opened. Who asked to be forgotten is.
    """

    invariant = "P2"

    def look(self, evidence: Evidence) -> Iterator[Breach]:
        since = erased(evidence)
        for subject, (lives, told_of) in sorted(evidence.keys.items()):
            self.judged += told_of
            if lives and told_of:
                yield self.breach(subject, "is erased, and there is a key")
        for told in evidence.log:
            if told.sealed not in (None, NOTHING) and told.position > since.get(told.subject, told.position):
                yield self.breach(told.stream, f"the event at position {told.position} has something sealed of somebody who is erased")

    def quiet(self, evidence: Evidence) -> Iterator[Breach]:
        gone, known = erased(evidence), canaries(evidence)
        for position, text in evidence.opened.items():
            named = named_in(evidence, text or "")
            for subject in sorted(subject for subject in gone if named & known.get(subject, set())):
                yield self.breach(subject, f"is erased, and what is sealed at position {position} names them")
        answered = {told.stream for told in evidence.log if isinstance(told.event, PrivacyAnswered)}
        for told in evidence.log:
            if isinstance(told.event, PrivacyAsked) and told.event.kind != "disclose":
                self.judged += 1
                if told.stream not in answered:
                    yield self.breach(told.stream, f"somebody asked at position {told.position} to be forgotten, and nothing came of it")


class Apart(Check):
    """P4: erasing one person touches no other: whose key is gone is told of, and of nobody else is anything withheld or unreadable."""

    invariant = "P4"

    def look(self, evidence: Evidence) -> Iterator[Breach]:
        gone = erased(evidence)
        self.judged += len(evidence.keys) if gone else 0
        for subject, (lives, told_of) in sorted(evidence.keys.items()):
            if not (lives or told_of):
                yield self.breach(subject, "the key is gone, and nobody was to be erased")
        for told in evidence.log:
            if told.sealed == NOTHING and told.subject not in gone:
                yield self.breach(told.stream, f"at position {told.position} something is withheld of somebody who is not erased")

    def quiet(self, evidence: Evidence) -> Iterator[Breach]:
        by_position = {told.position: told for told in evidence.log if told.position in evidence.opened}
        for position, text in evidence.opened.items():
            subject = by_position[position].subject
            if text is None and evidence.keys.get(subject, (False, False))[0]:
                yield self.breach(subject, f"what is sealed at position {position} cannot be opened, and nobody erased it")


def erased(evidence: Evidence) -> Mapping[str, int]:
    """Who is, and the position at which it is told."""
    return {told.event.subject: told.position for told in evidence.log if isinstance(told.event, SubjectErased)}


def canaries(evidence: Evidence) -> Mapping[str, set[str]]:
    """By which canaries the buyer of an order is known; none of whoever bought more than once, and may not have been erased each time."""
    channel, found = ChannelId(evidence.channels[0].id), dict[str, set[str]]()
    for order in evidence.case.orders:
        found[order_stream(channel, OrderId(order["order_id"]))] = named_in(evidence, str(order))
    times = Counter(name for names in found.values() for name in names)
    return {stream: {name for name in names if times[name] == 1} for stream, names in found.items()}


def named_in(evidence: Evidence, text: str) -> set[str]:
    return set(re.findall(f"PII-{evidence.truth['seed']}-[0-9]+", text))


CHECKS: tuple[type[Check], ...] = (Private, Erased, Apart)
