"""Patterns of web attacks over decoded request fields, matched in linear time by RE2.

`classes_in` decodes a text (bounded, at most twice) and returns the classes whose patterns it contains. Patterns look
for the form of an attack, so a text that merely speaks of one may match: what a class weighs is decided elsewhere.
Sources: OWASP Web Security Testing Guide 4.7 (input validation), CAPEC-7, -63, -88, -126, -242.
"""

from functools import lru_cache
from urllib.parse import unquote_to_bytes

import re2  # type: ignore[import-untyped]  # the wheel brings no types

MAX_TEXT = 4096

SQL = (
    r"""\bunion\b[\s/*(]+(?:all[\s/*(]+|distinct[\s/*(]+)?select\b(?:\W*(?:\d|null|@|'|"|\*|$)|\s*\w+\s*[,(]|.{1,99}\bfrom\b)""",
    r"""(?:'|"|\)|\b\d+)\s*(?:\bor\b|\band\b|\|\||&&)\s*['"(]*[\w.]+['")]*\s*(?:=|<|>|\blike\b)""",
    r"""'\s*(?:\bor\b|\band\b)\s+\(?(?:select|not|exists|sleep|\d+)\b""",
    r"\bselect\b.{1,120}\bfrom\s+[\w.`\[\]]{0,60}(?:information_schema|pg_catalog|sysobjects|dual|user|passw|admin)",
    r"\bselect\b.{1,120}\bfrom\b.{1,60}\bwhere\b.{1,60}[=<>]",
    r"""(?:;|'|"|\))\s*(?:drop|insert|update|delete|alter|create|exec|declare|truncate)\s+(?:table|into|database|from|@)""",
    r"\b(?:sleep|benchmark|pg_sleep|extractvalue|updatexml|load_file|group_concat|xp_cmdshell)\s*\(\s*[\w'\"(@]",
    r"\bwaitfor\s+delay\b|\binto\s+(?:outfile|dumpfile)\b|\bconcat(?:_ws)?\s*\(\s*0x",
    r"""['"]\)*\s*(?:--|/\*|;\s*--|#\s*$)|\)\s+--(?:\s|$)""",
    r"\border\s+by\s+\d{1,3}\s*(?:--|#|/\*)",
    r"""[(;,+|'"]\s*select\b\s*(?:\(\s*)*(?:case\s+when|count\s*\(|like\s*\(|\d+\s+from|'\w*'\s+(?:from|where)|\w+\s+where\s+\d)""",
    r"\b(?:elt|make_set|iif|if|decode|nvl)\s*\(\s*\d+\s*=\s*\d+|\bwhere\s+\d+\s*=\s*\d+|;\s*(?:call|select)\s+\w+\s*\(",
    r"\bcha?r\s*\(\s*\d+\s*\)\s*(?:\|\||\+|,)\s*cha?r\s*\(|\b(?:regexp_substring|randomblob|generate_series|row_count)\s*\(\s*[\w(]",
    r"\bfrom\s+(?:rdb\$|sysibm\.|master\.\.|mysql\.|msysaccess|all_users|all_tables|domain\.domains)",
    r"\w'\s*(?:\+|\|\|)\s*'\w|'\s*(?:\+|\|\|)\s*\(\s*select\b",
)
SCRIPT = (
    r"<\s*/?\s*script\b|<\s*(?:iframe|object|embed|svg|math|marquee)\b[^>]{0,200}[>\s/]",
    r"""<\s*\w+[^>]{0,200}[\s/"']on(?:error|load|click|focus|toggle|mouse\w+|animation\w+|pointer\w+)\s*=""",
    r"\bjavascript\s*:\s*(?:alert|eval|document|window|prompt|confirm)|document\s*\.\s*(?:cookie|write)\b",
    r"\bstring\.fromcharcode\s*\(|[\"'>;=(]\s*(?:alert|prompt|confirm)\s*\(",
    r"\bdata:text/html\s*[;,]|-moz-binding\s*:|\b(?:binding|behaviou?r)\s*:\s*url\s*\(|<\s*style[^>]{0,80}>\s*@i|\+adw-",
    r"""<[^>]{0,200}\b(?:src|href|dynsrc|lowsrc|background)\s*=\s*["']?\s*(?:jav\s*a?\s*scr|vbscript|livescript|mocha)\w*\s*:""",
    r"<!\[cdata\[[^\]]{0,80}(?:<|script)|<[^>]{0,200}\bdata(?:src|fld)\s*=|<\s*meta[^>]{0,80}http-equiv",
)
TRAVERSAL = (
    r"(?:\.\.[/\\]+){2,}|(?:^|[/=\\])\.\.[/\\]+(?:etc|proc|windows|winnt|boot|var|usr|bin|home|root)\b|\.\.;/",
    r"/etc/(?:passwd|shadow|group|issue|hosts)\b|/proc/(?:self|version|cmdline)|\b(?:win|boot|system)\.ini\b",
    r"\b(?:php|data|expect|zip|phar)://|\bfile:///|[=/][a-z]:[\\/]+(?:windows|winnt|inetpub)\b|\x00",
    r"(?:\.{2,}|0x2e0x2e)0x(?:2f|5c)|(?:0x2e){2,}|(?:\.{3,}[/\\]+){2,}|(?:/\.){5,}|\.{10,}|web-inf[/\\]*web\.xml",
)
_TOOLS = (
    r"cat|ls|id|whoami|uname|wget|curl|nc|ncat|bash|sh|powershell|cmd|ping|rm|chmod|tftp|busybox|python\d?|perl|php|"
    r"echo|sleep|touch|nslookup|dig|ifconfig|netstat|cd|export|printf"
)
COMMAND = (
    rf"(?:;|\||&&|\$\(|`|\n)\s*(?:/?\w+/)*(?:{_TOOLS})(?:\s|$|[;|&)<>`$])",
    r"\b(?:wget|curl|tftp)\s+(?:-\S+\s+)*(?:https?://|\d+\.\d+\.\d+\.\d+)|/bin/(?:ba|z|k|c|da)?sh\b|\bcmd(?:\.exe)?\s*/c\b",
    r"\brm\s+-rf?\b|\bchmod\s+(?:\+x|[0-7]{3,4})\b|\$\{ifs\}|\bcd\s+/(?:tmp|var|dev)\b|\(\)\s*\{\s*:?",
    r"\bpowershell(?:\.exe)?\s+-|/dev/tcp/|<!--\s*#(?:exec|include)\b|\bping(?:\.exe)?\s+-[cin]\s+\d+\s|[|&;]\s*dir\s+[a-z]:",
)
LOOKUP = (
    r"\$\{jndi:|\$\{(?:\$\{|lower:|upper:|::-|env:|sys:|date:)[^}]{0,80}\}|\$\{(?:script|dns|url|base64decoder):",
    r"jndi:(?:ldaps?|rmi|dns|iiop|nis|corba|https?):",
)
CODE = (
    r"<\?(?:php|=)|\b(?:assert|system|passthru|shell_exec|popen|proc_open|call_user_func(?:_array)?|phpinfo|"
    r"file_put_contents|base64_decode)\s*\(",
    r"\binvokefunction\b|\ballow_url_include\b|\bauto_prepend_file\b|\bclass\.module\.classloader\b",
    r"\bruntime\s*\(?\)?\.\s*(?:getruntime|exec)\b|@?java\.lang\.|\bprocessbuilder\b|\bgetruntime\(\)|#_memberaccess\b",
    r"\{\{\s*\d+\s*[*+]\s*\d+\s*\}\}|#\{\s*\d+\s*\*\s*\d+\s*\}|\(#\w+\s*=",
)
EXPLOIT = (
    r"/vendor/phpunit/|/eval-stdin\.php|/json/setup-restore|/setup/setupadministrator\.action|/server-info\.action\?",
    r"/api/v2/cmdb/system/|/boaform/|/gponform/|/setup\.cgi\?|/hnap1/?$|/_ignition/execute-solution|/shell\?cd",
    r"/mgmt/tm/util/bash|/tmui/login\.jsp/|/php/ztp_gate\.php|/remote/fgt_lang|/remote_agent\.php|/dana-na/\.\.|nice%20ports",
    r"/telerik\.web\.ui\.webresource\.axd\?type=rau|/autodiscover/autodiscover\.json\?.{0,80}@|/nice ports,/trinity",
    r"/cgi-bin/(?:luci/;|.{0,80}(?:/bin/|\bsh\b))|/htmlawed(?:/|test)|/graphapi/.{0,60}getphpinfo|/ztp/cgi-bin/handler",
)
SENSITIVE = (
    r"/\.(?:env|git|svn|hg|aws|ssh|htpasswd|htaccess|ds_store|bash_history|npmrc|vscode|dockerenv)\b",
    r"/(?:wp-config\.php|web\.config|id_rsa|server-status|phpinfo\.php|dump\.sql|database\.sql|backup\.(?:sql|zip|tar))",
    r"/actuator/(?:env|heapdump|gateway)|/solr/admin/|/manager/html|/druid/indexer|/jenkins/script|/owa/auth/x\.js",
    r"\.(?:sql|bak|old|swp|orig)(?:\.\w+)?(?:\?|$)|/(?:\w+[_-])?(?:c99|r57|wso|b374k|shell|webshell|backdoor|cmd)\d{0,3}\.(?:php\d?|phtml|aspx?|jspx?)\b|/cgi-bin/(?:test|printenv)",
)
SCANNER = (
    r"\b(?:sqlmap|nikto|nmap scripting|masscan|zgrab|gobuster|dirbuster|dirb|feroxbuster|ffuf|wfuzz|wpscan|nuclei|"
    r"acunetix|nessus|openvas|arachni|w3af|whatweb|havij|jorgee|zmeu|morfeus|l9explore|l9tcpid|jaeles|commix|fimap|"
    r"joomscan|skipfish|netsparker|paros|grabber|xsstrike|dalfox|hydra|brutus|expanse|internetmeasurement)\b",
)

CLASSES: dict[str, tuple[str, ...]] = {
    "lookup": LOOKUP, "command": COMMAND, "code": CODE, "sql": SQL, "traversal": TRAVERSAL, "script": SCRIPT,
    "exploit": EXPLOIT, "sensitive": SENSITIVE,
}  # fmt: skip
"""Strongest first."""
IN_HEADERS = ("lookup", "command", "code", "sql", "script")
"""Classes that are looked for in user agent and referrer as well; referrers rightly hold paths."""


def _compile(patterns: list[str]) -> re2.Set:
    options = re2.Options()
    options.case_sensitive = False
    options.dot_nl = True
    options.max_mem = 64 << 20
    compiled = re2.Set.SearchSet(options)
    for pattern in patterns:
        compiled.Add(pattern)
    compiled.Compile()
    return compiled


_NAMES = [name for name, patterns in CLASSES.items() for _ in patterns]
_SET = _compile([pattern for patterns in CLASSES.values() for pattern in patterns])
_AGENTS = _compile(list(SCANNER))


def decoded(text: str) -> str:
    """Return a text percent-decoded, at most twice and cut to `MAX_TEXT`; "+" in a query reads as a space."""
    text = _clean(text)
    head, mark, query = text.partition("?")
    text = head + mark + query.replace("+", " ")
    for _ in range(2):
        if "%" not in text:
            break
        text = unquote_to_bytes(text).decode("utf-8", "replace")
    return text


def _clean(text: str) -> str:
    """Cut a text, and replace lone surrogates, which JSON can smuggle in and UTF-8 cannot hold."""
    return text[:MAX_TEXT].encode("utf-8", "replace").decode()


@lru_cache(maxsize=4096)
def classes_in(text: str) -> tuple[str, ...]:
    """Return the attack classes that a text shows, strongest first."""
    plain = decoded(text)
    found = {_NAMES[index] for index in _SET.Match(plain) or ()}
    return tuple(name for name in CLASSES if name in found)


@lru_cache(maxsize=4096)
def is_scanner(agent: str) -> bool:
    """Return whether a user agent names a tool that looks for weaknesses."""
    return bool(_AGENTS.Match(_clean(agent)))
