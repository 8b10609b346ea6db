"""Remote procedure calls by which intruders act on Windows hosts: execution, replication of secrets, enumeration.

Each of them is an administrator's tool, too: what the calls do is told, and who is meant to do it is the policy's to
say (a role, or a label). Only the caller is blamed. Numbers of operations: MS-SCMR, MS-TSCH, MS-WMI, MS-OAUT, MS-DRSR,
MS-NRPC, MS-SAMR, MS-SRVS, MS-LSAD, MS-RPCE, MS-BKRP, MS-RRP, MS-EFSR.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from risk.behaviours import Behaviour, Fact, LogView, Mark, Reason, Weight
from risk.windows.keyed import Decayed, Distinct, Keyed, Told
from sensors.addresses import host_entity
from sensors.values import Entity, Kind

MAX_KEYS = 1 << 15
ADMIN = "an administrator, or the management of this site, at work from a host that is meant for it"
ENDPOINT_PORT = 135
ACTIVATION_BYTES = 400
"""A call to the endpoint mapper's port that is longer asks for an object, not for an address."""


@dataclass(frozen=True, slots=True)
class _Act:
    """Something that one call does."""

    reason: Reason
    what: str


SERVICE = _Act(Reason("remote_call.service", "T1021.002", Weight(0.74), 3600, 1e-4, ADMIN), "created a service on")
STARTED = _Act(Reason("remote_call.started", "T1569.002", Weight(0.3), 3600, 1e-3, ADMIN), "started a service on")
TASK = _Act(Reason("remote_call.task", "T1053.005", Weight(0.72), 3600, 1e-4, ADMIN), "scheduled a task on")
WMI = _Act(Reason("remote_call.wmi", "T1047", Weight(0.75), 3600, 1e-4, ADMIN), "ran a method of WMI on")
OBJECT = _Act(
    Reason("remote_call.object", "T1021.003", Weight(0.72), 3600, 1e-4, "an application built on DCOM, such as OPC"),
    "called methods of an object that it had made on",
)
REPLICATED = _Act(
    Reason(
        "remote_call.replicated", "T1003.006", Weight(0.5, 0.32, 0.82), 7200, 1e-4,
        "another domain controller, or a sync service",
    ),
    "asked for the secrets of the domain from",
)  # fmt: skip
BACKUP_KEY = _Act(
    Reason("remote_call.backup_key", "T1555.004", Weight(0.72), 3600, 1e-4, "a user with a new password"),
    "had protected keys opened through the named pipe of",
)  # fmt: skip
COERCED = _Act(
    Reason("remote_call.coerced", "T1187", Weight(0.7), 3600, 1e-4, "a client of encrypted or replicated folders"),
    "asked for a file elsewhere to be opened by",
)  # fmt: skip

SECRETS = _Act(
    Reason("remote_call.secrets", "T1003.002", Weight(0.75), 7200, 1e-5, "a backup of the registry over the network"),
    "saved a part of the registry, or took a secret, of",
)
DRIVER = _Act(
    Reason("remote_call.driver", "T1547.012", Weight(0.72), 3600, 1e-4, "an administrator who sets up a printer"),
    "installed a printer's driver on",
)
CLEARED = _Act(
    Reason("remote_call.cleared", "T1070.001", Weight(0.74), 7200, 1e-5, "an administrator who tidies up"),
    "cleared an event log of",
)

ACTS = {
    **{("svcctl", code): SERVICE for code in (12, 24, 44, 45, 60)},
    **{("svcctl", code): STARTED for code in (19, 31)},
    **{("taskscheduler", code): TASK for code in (1,)},
    ("atsvc", 0): TASK,
    **{("wbemservices", code): WMI for code in (24, 25)},
    ("backupkey", 0): BACKUP_KEY,
    **{("efsrpc", code): COERCED for code in (0, 4, 5, 6, 7, 8, 9, 12)},
    **{("netdfs", code): COERCED for code in (12, 13)},
    **{("fsrvp", code): COERCED for code in (8, 9)},
    ("winreg", 20): SECRETS,
    ("lsarpc", 43): SECRETS,
    ("spoolss", 89): DRIVER,
    ("eventlog", 0): CLEARED,
    ("eventlog6", 6): CLEARED,
}
QUESTIONS = {"samr": (5, 6, 7, 8, 16, 17, 18, 19, 20, 34, 36, 39, 47), "lsarpc": (14, 15, 57, 58)}
"""What is asked at every login, too."""
LISTINGS = {"samr": (11, 13, 15, 25, 33, 40, 48, 51), "lsarpc": ()}
"""What gives whole lists of accounts or of the members of a group."""
SHARES = {"srvsvc": (8, 12, 15, 36), "wkssvc": (2,)}
DETAILS = {"srvsvc": (16, 21), "wkssvc": (0,)}
"""What is asked about a share, a server or a workstation by the way; it counts beside a list only."""
REPLICA = (0, 12, 3)
"""Operations of drsuapi in their order: bind, crack names, get changes. Domain controllers that replicate crack no
names; a conversation whose beginning wasn't seen shows by the three together."""

NULL_LOGIN = Reason(
    "remote_call.null_login", "T1210", Weight(0.7, 0.12, 0.95), 7200, 1e-6, "a broken clone of a machine"
)
ACCOUNTS = Reason(
    "remote_call.accounts", "T1087.002", Weight(0.55, 0.25, 0.85), 3600, 1e-3, "an inventory of the domain"
)
LISTED = Reason(
    "remote_call.shares",
    "T1135",
    Weight(0.3, 0.27, 0.8),
    1800,
    1e-2,
    "somebody who opens the network neighbourhood",
    0.8,
)
MAPPED = Reason("remote_call.mapped", "T1046", Weight(0.4, 0.2, 0.85), 1800, 1e-3, "a monitoring host")


class _Pair:
    """What one host asked of another lately."""

    __slots__ = ("accounts", "activated", "invoked", "kinds", "nulls", "replica", "told")

    def __init__(self) -> None:
        self.accounts = Decayed(600)
        self.kinds: Distinct[tuple[str, int]] = Distinct(600)
        self.activated = 0
        self.invoked = Decayed(600)
        self.nulls = Decayed(120)
        self.replica = 0
        self.told = Told()


class _Caller:
    """Which hosts one host asked for lists."""

    __slots__ = ("details", "lists", "told")

    def __init__(self) -> None:
        self.details: Distinct[tuple[str, str, int]] = Distinct(120)
        self.lists: Distinct[str] = Distinct(600)
        self.told = Told()


class Calls:
    """Windows of callers over remote procedure calls."""

    def __init__(self) -> None:
        self._pairs: Keyed[tuple[str, str], _Pair] = Keyed(MAX_KEYS, _Pair)
        self._callers: Keyed[str, _Caller] = Keyed(MAX_KEYS, _Caller)

    def evicted(self) -> int:
        """Return how many keys were forgotten for want of room."""
        return self._pairs.evicted + self._callers.evicted

    def watch(self, view: LogView) -> Iterator[Mark]:
        """Judge calls in order and yield what they show."""
        texts = view.texts
        columns = view.columns("protocol", "orig", "resp", "resp_port", "object", "name", "code", "size")
        for row, (protocol, orig, resp, port, interface, name, code, size) in enumerate(columns):
            if texts[protocol] != "dcerpc" or texts[name] == "bind" or not texts[orig]:
                continue
            call = _Call(row, view, texts[orig], texts[resp], port, texts[interface], texts[name], code, size)
            pair = self._pairs[call.orig, call.resp]
            yield from _acted(call)
            yield from _objects(call, pair)
            yield from _replicated(call, pair)
            yield from _null_logins(call, pair)
            yield from _accounts(call, pair)
            yield from _lists(call, self._callers[call.orig])


@dataclass(frozen=True, slots=True)
class _Call:
    """One call, with its texts."""

    row: int
    view: LogView
    orig: str
    resp: str
    port: int
    interface: str
    name: str
    code: int
    size: int

    @property
    def ts(self) -> int:
        return int(self.view.rows[self.row]["ts"])

    def mark(self, reason: Reason, what: str, facts: list[Fact], strength: float = 1.0) -> Mark:
        """Return evidence against the caller."""
        who: Entity = host_entity(self.orig)
        words = who, f" {what} ", host_entity(self.resp)
        return Mark(self.row, reason.evidence(who, self.view.place(self.row), strength, words, facts))


def _acted(call: _Call) -> Iterator[Mark]:
    """Yield what the call itself does."""
    act = ACTS.get((call.interface, call.code))
    if act is not None:
        yield call.mark(act.reason, act.what, [Fact(act.reason.code.replace(".", "_"), 1, 0.05)])


def _objects(call: _Call, pair: _Pair) -> Iterator[Mark]:
    """Yield calls of methods of an object that was made before, also where their beginning wasn't seen."""
    if call.port == ENDPOINT_PORT and call.size >= ACTIVATION_BYTES:
        pair.activated = call.ts
    elif call.interface in ("", "idispatch") and call.port != ENDPOINT_PORT:
        recent = pair.activated and call.ts - pair.activated < 600_000_000_000
        if recent and call.code == 6:
            invoked = pair.invoked.add(call.ts)
            if OBJECT.reason.due(pair.told, invoked, call.ts):
                yield call.mark(OBJECT.reason, OBJECT.what, [Fact("objects_invoked_600", invoked, 0.05)])


def _replicated(call: _Call, pair: _Pair) -> Iterator[Mark]:
    """Yield that secrets of the domain were asked for: by a conversation that cracked a name first, or by any."""
    if call.interface not in ("drsuapi", "") or call.port == ENDPOINT_PORT or call.code not in REPLICA:
        return
    step = REPLICA.index(call.code)
    if pair.replica == step:
        pair.replica = step + 1
    if call.code != REPLICA[-1] or (call.interface == "" and pair.replica < len(REPLICA)):
        return
    strength = 2.0 if pair.replica == len(REPLICA) else 1.0
    pair.replica = 0
    if REPLICATED.reason.due(pair.told, strength, call.ts):
        yield call.mark(REPLICATED.reason, REPLICATED.what, [Fact("replicated", strength, 0.05)], strength)


def _null_logins(call: _Call, pair: _Pair) -> Iterator[Mark]:
    if call.name != "null credential":
        return
    nulls = pair.nulls.add(call.ts)
    if NULL_LOGIN.due(pair.told, nulls / 4, call.ts):
        what = f"proved itself {nulls:.0f} times within two minutes by a credential of zeros to"
        yield call.mark(NULL_LOGIN, what, [Fact("null_logins_120", nulls, 0.1)], nulls / 4)


def _accounts(call: _Call, pair: _Pair) -> Iterator[Mark]:
    listing = call.code in LISTINGS.get(call.interface, ())
    if not listing and call.code not in QUESTIONS.get(call.interface, ()):
        return
    if pair.kinds.add(call.ts, (call.interface, call.code)):
        pair.accounts.add(call.ts, 2.0 if listing else 0.25)
    asked = pair.accounts.add(call.ts, 0.0)
    if ACCOUNTS.due(pair.told, asked / 2, call.ts):
        what = f"asked in {pair.kinds.count.value:.0f} ways for accounts and members of groups within ten minutes of"
        yield call.mark(ACCOUNTS, what, [Fact("account_questions_600", asked, 0.8)], asked / 2)


def _lists(call: _Call, caller: _Caller) -> Iterator[Mark]:
    if call.code in SHARES.get(call.interface, ()):
        reason, what = LISTED, "listed shares and sessions of"
    elif call.interface == "epmapper" and call.code == 2:
        reason, what = MAPPED, "listed all services of"
    elif call.code in DETAILS.get(call.interface, ()) and caller.lists.count.add(call.ts, 0.0) > 0.5:
        reason, what = LISTED, "listed shares and asked about the server of"
        caller.details.add(call.ts, (call.resp, call.interface, call.code))
    else:
        return
    if call.code not in DETAILS.get(call.interface, ()):
        caller.lists.add(call.ts, call.resp)
    strength = caller.lists.count.value + min(caller.details.count.add(call.ts, 0.0), 1.0)
    if reason.due(caller.told, strength, call.ts):
        yield call.mark(reason, what, [Fact("listed_hosts_600", strength, 0.5)], strength)


BEHAVIOUR = Behaviour("remote_call", "Remote calls that act on Windows hosts", (), {Kind.COMMAND: Calls})
