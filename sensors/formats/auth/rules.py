"""What daemons write about authentication, as data: one rule a message.

The expressions are over the message after the syslog header; `sensors.logs.rules` says what their groups mean. Services
whose messages need no stages are not here but in `sensors.logs.services`.

Where a client chooses a text (its user name) the expression is greedy up to the last place where the daemon's own words
follow: "Failed password for x from 192.0.2.1 from 198.51.100.2 port 22 ssh2" came from 198.51.100.2.
"""

from sensors.logs.rules import ANNOUNCED, BY_PAM, FAILURE, INVALID, PROBE, SUCCESS, SUMMED_UP, TOLD, Rule

_ORIG = r"(?P<orig>[^\s,;<>()\[\]]+)"
_USER = r"(?P<user>.*)"
_INVALID = r"(?P<invalid>invalid user |illegal user |<invalid username>)?"
_PORT = r"(?: port \d+)?"
_PREAUTH = r"(?: \[preauth\])?\s*$"
_KEY = r"(?:: (?:ruser .*|(?:RSA|DSA|ECDSA|ED25519|SK-ECDSA|SK-ED25519)(?:-\S+)? .*))?$"

SSHD = (
    Rule(FAILURE, TOLD, "", rf"^Failed (?P<method>\S+) for {_INVALID}{_USER} from {_ORIG} port \d+(?: ssh\d)?{_KEY}"),
    Rule(FAILURE, TOLD, "", rf"^Failed (?P<method>\S+) for {_INVALID}{_USER} from {_ORIG}(?: ssh\d)?$"),
    Rule(SUCCESS, TOLD, "", rf"^Accepted (?P<method>\S+) for {_USER} from {_ORIG} port \d+(?: ssh\d)?(?:: .*)?$"),
    Rule(INVALID, ANNOUNCED, "", rf"^(?:Invalid|Illegal) user {_USER} from {_ORIG}{_PORT}\s*$"),
    Rule(
        FAILURE, BY_PAM, "keyboard-interactive/pam",
        rf"^PAM: (?:[Aa]uthentication (?:failure|error)|User not known to the underlying authentication module"
        rf"|User account has expired|Permission denied) for {_INVALID}{_USER} from {_ORIG}(?: via \S+)?\s*$",
    ),
    Rule(FAILURE, TOLD, "", rf"^ROOT LOGIN REFUSED FROM {_ORIG}{_PORT}{_PREAUTH}"),
    Rule(FAILURE, ANNOUNCED, "", rf"^User {_USER} from {_ORIG} not allowed because .*$"),
    Rule(FAILURE, ANNOUNCED, "", rf"^User {_USER} not allowed because .*$"),
    Rule(
        FAILURE, SUMMED_UP, "",
        rf"^maximum authentication attempts exceeded for {_INVALID}{_USER} from {_ORIG} port \d+(?: ssh\d)?{_PREAUTH}",
    ),
    Rule(
        FAILURE, SUMMED_UP, "",
        rf"^Disconnecting (?:authenticating|(?P<invalid>invalid)) user {_USER} {_ORIG} port \d+: .*$",
    ),
    Rule(FAILURE, SUMMED_UP, "", rf"^Disconnecting: Too many authentication failures(?: for (?P<user>.*?))?{_PREAUTH}"),
    Rule(
        FAILURE, SUMMED_UP, "",
        rf"^Received disconnect from {_ORIG}{_PORT}: ?\d+: .*\bAuth(?:entication)? (?:fail|cancel).*$",
    ),
    Rule(
        PROBE, SUMMED_UP, "",
        rf"^(?:Connection (?:closed|reset) by|Disconnected from) (?:authenticating|(?P<invalid>invalid)) user {_USER} "
        rf"{_ORIG} port \d+ \[preauth\]",
    ),
    Rule(PROBE, SUMMED_UP, "", rf"^(?:Connection (?:closed|reset) by|Disconnected from) {_ORIG}{_PORT} \[preauth\]"),
    Rule(PROBE, SUMMED_UP, "", rf"^Received disconnect from {_ORIG}{_PORT}: ?\d+: .*\[preauth\]\s*$"),
    Rule(PROBE, TOLD, "", rf"^Did not receive identification string from {_ORIG}{_PORT}\s*$"),
    Rule(PROBE, TOLD, "", rf"^Bad protocol version identification .* from {_ORIG}{_PORT}\s*$"),
    Rule(PROBE, TOLD, "", rf"^(?:banner exchange|ssh_dispatch_run_fatal): Connection from {_ORIG} port \d+: .*$"),
    Rule(PROBE, TOLD, "", rf"^Unable to negotiate with {_ORIG}{_PORT}: .*$"),
    Rule(PROBE, TOLD, "", rf"^Timeout before authentication for (?:connection from )?{_ORIG}"),
    Rule(PROBE, TOLD, "", rf"^Protocol major versions differ for {_ORIG}{_PORT}: .*$"),
    Rule(PROBE, TOLD, "", rf"^(?:probed|scanned) from {_ORIG}{_PORT} with .*$"),
    Rule(PROBE, TOLD, "", r"^refused connect from .*\((?P<orig>[0-9A-Fa-f:.]+)\)\s*$"),
    Rule(PROBE, TOLD, "", r"^drop connection #\d+ from \[(?P<orig>[^\]\s]+)\]:\d+ .*$"),
    Rule(None, 0, "", rf"^Connection from {_ORIG} port \d+"),
)  # fmt: skip

_FIELDS = r"authentication failures?; (?:.* )?ruser=(?P<ruser>.*) rhost=(?P<orig>\S*)(?: +user=(?P<user>.*?))?\s*$"

PAM = (
    Rule(FAILURE, BY_PAM, "pam", rf"^(?:pam_\w+\([^)]*\): |\(pam_\w+\) )?{_FIELDS}", local=True),
    Rule(
        FAILURE, SUMMED_UP, "pam",
        r"^PAM (?P<more>\d{1,6}) more authentication failures?; .* rhost=(?P<orig>\S*)(?: +user=(?P<user>.*?))?\s*$",
        local=True,
    ),
)  # fmt: skip

SUDO = (
    Rule(FAILURE, SUMMED_UP, "password", r"^(?P<user>\S+) : (?P<count>\d{1,6}) incorrect password attempts? ; ", True),
    Rule(
        FAILURE, TOLD, "",
        r"^(?P<user>\S+) : (?:user NOT in sudoers|command not allowed|user NOT authorized on host) ; ", True,
    ),
    Rule(SUCCESS, TOLD, "", r"^(?P<user>\S+) : (?:[A-Z]+=.*)?COMMAND=", True),
)  # fmt: skip

SU = (
    Rule(FAILURE, TOLD, "password", r"^FAILED SU \(to .*\) (?P<user>\S+) on ", True),
    Rule(FAILURE, TOLD, "password", r"^FAILED su for .* by (?P<user>\S+)\s*$", True),
    Rule(SUCCESS, TOLD, "password", r"^\(to .*\) (?P<user>\S+) on ", True),
    Rule(SUCCESS, TOLD, "password", r"^Successful su for .* by (?P<user>\S+)\s*$", True),
)

LOGIN = (
    Rule(
        FAILURE, TOLD, "password",
        r"^FAILED LOGIN (?:SESSION )?\(?\d+\)?(?: on '.*')? (?:FROM (?:\(null\)|(?P<orig>\S+)) )?"
        r"FOR '?(?P<user>.*?)'?, ",
        True,
    ),
    Rule(SUCCESS, TOLD, "password", r"^(?P<user>ROOT) LOGIN +ON \S+(?: FROM (?P<orig>\S+))?\s*$", True),
    Rule(SUCCESS, TOLD, "password", r"^LOGIN ON \S+ BY (?P<user>.*?)(?: FROM (?P<orig>\S+))?\s*$", True),
)  # fmt: skip

LOGIND = (
    # Whoever let the user in has told of it: a session is no further attempt, and counts 0.
    Rule(SUCCESS, TOLD, "none", r"^New session \S+ of user (?P<user>.*)\.\s*$", True),
)

_VSFTPD = r"^\[pid \d+\] \[(?P<user>.*)\]"

VSFTPD = (
    Rule(FAILURE, TOLD, "password", rf'{_VSFTPD} FAIL LOGIN: Client "(?P<orig>[^"\s]+)"'),
    Rule(FAILURE, TOLD, "password", rf'{_VSFTPD} FTP response: Client "(?P<orig>[^"\s]+)", "530 Permission denied\.'),
    Rule(SUCCESS, TOLD, "password", rf'{_VSFTPD} OK LOGIN: Client "(?P<orig>[^"\s]+)"'),
)

_PROFTPD = r"^\S+ \([^\[]*\[(?P<orig>[^\]\s]+)\]\):? (?:- )?"

PROFTPD = (
    Rule(FAILURE, TOLD, "password", rf"{_PROFTPD}USER (?P<user>.*) \(Login failed\): .*$"),
    Rule(INVALID, TOLD, "password", rf"{_PROFTPD}USER (?P<user>.*): no such user found from .*$"),
    Rule(FAILURE, TOLD, "password", rf"{_PROFTPD}SECURITY VIOLATION: (?P<user>\S+) login attempted\.?\s*$"),
    Rule(FAILURE, SUMMED_UP, "password", rf"{_PROFTPD}Maximum login attempts .*exceeded"),
    Rule(SUCCESS, TOLD, "password", rf"{_PROFTPD}USER (?P<user>.*): Login successful"),
)

PURE_FTPD = (
    Rule(
        FAILURE, TOLD, "password",
        rf"^\(.*@{_ORIG}\) \[WARNING\] Authentication failed for user \[(?P<user>.*)\]",
    ),
    Rule(SUCCESS, TOLD, "password", rf"^\(.*@{_ORIG}\) \[INFO\] (?P<user>.*) is now logged in"),
)  # fmt: skip

_RIP = r"(?:.*: )?(?:user=<(?P<user>[^>]*)>, )?(?:method=(?P<method>[\w-]+), )?rip=(?P<orig>[0-9A-Fa-f:.]+)"
_LOGIN_PROCESS = r"^(?:[\w-]+-login: )?(?:Info: )?"

DOVECOT = (
    Rule(None, 0, "", rf"{_LOGIN_PROCESS}.* \(no auth attempts[^)]*\){_RIP}.*TLS handshaking: SSL_accept\(\) failed"),
    Rule(SUCCESS, TOLD, "", rf"{_LOGIN_PROCESS}Login: {_RIP}"),
    Rule(
        FAILURE, TOLD, "",
        rf"{_LOGIN_PROCESS}(?:Disconnected|Aborted login|Login aborted)\b.* \(auth failed, (?P<count>\d{{1,6}}) "
        rf"attempts[^)]*\){_RIP}",
    ),
    Rule(
        PROBE, TOLD, "",
        rf"{_LOGIN_PROCESS}(?:Disconnected|Aborted login|Login aborted)\b.* "
        rf"\((?:no auth attempts|tried to use dis\w+ )[^)]*\){_RIP}",
    ),
    Rule(
        INVALID, TOLD, "",
        r"^(?:.*: )?(?:\w[\w-]*)\((?P<user>[^,()]*),(?P<orig>[0-9A-Fa-f:.]+)(?:,<[^>]*>)?\): unknown user",
    ),
    Rule(
        FAILURE, TOLD, "",
        r"^(?:.*: )?(?:\w[\w-]*)\((?P<user>[^,()]*),(?P<orig>[0-9A-Fa-f:.]+)(?:,<[^>]*>)?\): "
        r"(?:[Pp]assword mismatch|pam_authenticate\(\) failed)",
    ),
)  # fmt: skip

POSTFIX = (
    Rule(
        FAILURE, TOLD, "",
        r"^[^\s\[]*\[(?P<orig>[0-9A-Fa-f:.]+)\](?::\d+)?: SASL (?P<method>\S+) authentication "
        r"(?:failed|aborted)(?:.*, sasl_username=(?P<user>.*))?",
    ),
    Rule(
        PROBE, TOLD, "",
        r"^(?:lost connection after AUTH|(?:too many errors|improper command pipelining) after \S+) "
        r"from [^\[]*\[(?P<orig>[^\]\s]+)\]",
    ),
    Rule(PROBE, TOLD, "", r"^PREGREET \d+ after [\d.]+ from \[(?P<orig>[^\]\s]+)\]:\d+: "),
    Rule(
        PROBE, TOLD, "",
        r"^\w+: (?:milter-)?reject: [A-Z]+ from [^\s\[]*\[(?P<orig>[^\]\s]+)\](?::\d+)?: [45]\d\d .*"
        r"(?:Relay access denied|Helo command rejected|Sender address rejected|User unknown|undeliverable address"
        r"|[Cc]ommand rejected|Client host rejected|blocked using)",
    ),
)  # fmt: skip

_OWN_STAMP = r"^(?:\[\d+\] \S+ +\d+ [\d:]+ )?"

DROPBEAR = (
    Rule(
        FAILURE, TOLD, "",
        rf"{_OWN_STAMP}[Bb]ad (?P<method>password|PAM password) attempt for '(?P<user>.*)' from {_ORIG}:\d+\s*$",
    ),
    Rule(
        INVALID, TOLD, "",
        rf"{_OWN_STAMP}[Ll]ogin attempt for nonexistent user(?: '(?P<user>.*)')? from {_ORIG}:\d+\s*$",
    ),
    Rule(SUCCESS, TOLD, "", rf"^(?P<method>Password|Pubkey) auth succeeded for '(?P<user>.*)' .*from {_ORIG}:\d+\s*$"),
    Rule(
        FAILURE, SUMMED_UP, "password",
        rf"{_OWN_STAMP}[Ee]xit before auth from <{_ORIG}:\d+>: (?:\(user '.*', (?P<count>\d{{1,6}}) fails\): )?"
        r"Max auth tries reached - user '(?P<user>.*)'",
    ),
    Rule(
        FAILURE, SUMMED_UP, "password",
        rf"{_OWN_STAMP}[Ee]xit before auth \(user '.*', (?P<count>\d{{1,6}}) fails\): Max auth tries reached - "
        rf"user '(?P<user>.*)' from {_ORIG}:\d+\s*$",
    ),
)  # fmt: skip

FAMILIES = {
    "sshd": SSHD,
    "sudo": SUDO,
    "su": SU,
    "login": LOGIN,
    "systemd-logind": LOGIND,
    "vsftpd": VSFTPD,
    "proftpd": PROFTPD,
    "pure-ftpd": PURE_FTPD,
    "dovecot": DOVECOT,
    "postfix": POSTFIX,
    "dropbear": DROPBEAR,
    "": (),
}
"""Rules by the program that writes the messages; those of PAM apply to all of them, and alone to a program not here."""

PROGRAMS = {
    "sshd": "sshd",
    "sshd-session": "sshd",
    "sshd-auth": "sshd",
    "auth-worker": "dovecot",
    "imap-login": "dovecot",
    "pop3-login": "dovecot",
    "managesieve-login": "dovecot",
    "submission-login": "dovecot",
    "dovecot-auth": "dovecot",
    "": "vsftpd",
}
"""Programs whose family has another name. vsftpd's own log names no program."""
