"""The servers of the recording, each a real one with a configuration and keys of its own in a scratch folder."""

import random
import secrets
import shutil
import subprocess
import sys
from pathlib import Path

from recorder.network import Host, Network
from recorder.syslog import LogHost

CHATTER = str(Path(__file__).with_name("chatter.py"))
PEOPLE = ("ada", "ben", "cleo", "dan", "ops", "deploy", "backup")
"""Who has an account on the ssh servers, with a key and a password that last as long as the recording."""

SITE_NAMES = (
    "news.example", "cdn.example", "docs.example", "updates.example", "video.example", "mail.example", "cloud.example",
    "telemetry.example",
)  # fmt: skip
"""What the world outside offers."""
MAIL = "mail.corp.example"
PEER_PORTS = ("40000", "60")
"""First and number of the ports on which conversations of no named protocol are held."""
C2_NAME = "status.sync-cloud.example"
TUNNEL_NAME = "t.files-sync.example"

_NGINX = """
daemon off; user www-data; worker_processes 1; pid {folder}/nginx.pid; error_log {error};
events {{ worker_connections 512; }}
http {{
  types {{ text/html html; text/css css; text/javascript js; image/png png; text/plain txt; }}
  default_type application/octet-stream;
  access_log {access} combined;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{
    listen 80 default_server; {tls}
    root /srv/www; error_page 404 /missing.html;
    {extra}
  }}
}}
"""
_TLS = "listen 443 ssl; ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.key;"
_SHOP = """
    location ~ ^/(login|search|api/) { proxy_pass http://127.0.0.1:8000; proxy_set_header Host $host; }
    location /admin/ { auth_basic "Back office"; auth_basic_user_file %s; }
    location = /health { return 200 "ok\\n"; }
"""

TAKES = "location = /upload { client_max_body_size 64m; proxy_pass http://127.0.0.1:8000; }"
"""What a web server needs in order to take what is sent to it."""

_SSHD = """
Port 22
HostKey {folder}/host_key
PidFile none
AuthorizedKeysFile {folder}/keys/%u
StrictModes no
UsePAM yes
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
Subsystem sftp internal-sftp
"""

# sshd needs accounts, /dev/log and /run/sshd. It gets them in a mount namespace; the machine's stay as they are.
_PRIVATE = """
set -e
mkdir -p {folder}/dev
mount -t tmpfs none {folder}/dev
mkdir {folder}/dev/pts {folder}/dev/shm
for node in null zero full random urandom tty; do
  touch {folder}/dev/$node; mount --bind /dev/$node {folder}/dev/$node
done
mount --bind /dev/pts {folder}/dev/pts
ln -s pts/ptmx {folder}/dev/ptmx
touch {folder}/dev/log; mount --bind {folder}/log.sock {folder}/dev/log
mount --rbind {folder}/dev /dev
for file in passwd shadow group pam.d/sshd; do mount --bind {folder}/$file /etc/$file; done
mount -t tmpfs none /home; mount -t tmpfs none /var/log; mount -t tmpfs none /run
mkdir -p /run/sshd; touch /var/log/lastlog /var/log/wtmp /var/log/btmp; chmod 600 /var/log/btmp
for person in {people}; do mkdir -p /home/$person; chown $person /home/$person; done
exec /usr/sbin/sshd -D -f {folder}/sshd_config
"""


def start_web(network: Network, host: Host, folder: Path, seed: int, logs: Path | None = None, extra: str = "") -> None:
    """Start nginx with a site and a TLS key of its own; with `logs`, access.log and error.log are kept there."""
    folder.mkdir()
    _make_site(folder / "site", random.Random(seed))
    key, certificate = str(folder / "server.key"), str(folder / "server.pem")
    words = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30"]
    _run("openssl", "req", "-x509", *words, "-subj", f"/CN={host.name}.example", "-keyout", key, "-out", certificate)
    access, error = (logs / "access.log", logs / "error.log") if logs else (folder / "access", folder / "error")
    text = _NGINX.format(folder=folder, access=access, error=error, extra=extra, tls=_TLS.format(folder=folder))
    (folder / "nginx.conf").write_text(text)
    script = "mount -t tmpfs none /srv; mkdir /srv/www; "
    script += f"mount --bind {folder}/site /srv/www; exec nginx -c {folder}/nginx.conf"
    network.start(host.command("unshare", "--mount", "sh", "-ec", script), folder / "nginx.out")


def start_shop(network: Network, host: Host, folder: Path, seed: int, logs: Path, password: str) -> None:
    """Start the company's own web server: pages, an application behind it, and a back office with a password."""
    users = folder.parent / "htpasswd"
    digest = _run("openssl", "passwd", "-apr1", password).strip()
    users.write_text(f"ops:{digest}\n")
    users.chmod(0o644)
    network.start(host.command(sys.executable, CHATTER, "app", "8000"), folder.parent / "app.out")
    start_web(network, host, folder, seed, logs, _SHOP % users)


def _make_site(site: Path, rng: random.Random) -> None:
    words = [secrets.token_hex(rng.randrange(2, 6)) for _ in range(400)]
    (site / "assets").mkdir(parents=True)
    for number in range(30):
        text = " ".join(rng.choices(words, k=rng.randrange(100, 500)))
        (site / f"page-{number}.html").write_text(f"<!doctype html><title>Page {number}</title><p>{text}</p>\n")
    (site / "index.html").write_text(
        "<!doctype html><title>Welcome</title>" + "".join(f'<a href="page-{n}.html">{n}</a> ' for n in range(30))
    )
    (site / "missing.html").write_text("<!doctype html><title>Not found</title>\n")
    (site / "robots.txt").write_text("User-agent: *\nDisallow: /admin/\n")
    for name in ("style.css", "app.js", "logo.png", "photo.png"):
        (site / "assets" / name).write_bytes(rng.randbytes(rng.randrange(1_000, 5_000)))
    (site / "film.bin").write_bytes(rng.randbytes(200_000))
    (site / "package.bin").write_bytes(rng.randbytes(60_000))
    (site / "admin").mkdir()
    (site / "admin" / "index.html").write_text("<!doctype html><title>Back office</title>\n")
    for path in (site, *site.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def start_ssh(network: Network, host: Host, folder: Path, file: Path, passwords: dict[str, str], iso: bool) -> LogHost:
    """Start sshd with accounts of its own, whose key is `folder/key`; its log goes to `file` by way of /dev/log."""
    (folder / "keys").mkdir(parents=True)
    for name in ("host_key", "key"):
        _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(folder / name))
    for person in PEOPLE:
        shutil.copy(folder / "key.pub", folder / "keys" / person)
    accounts = list(enumerate(PEOPLE, 2001))
    base = (
        Path("/etc/passwd").read_text(),
        "".join(
            f"{line.split(':')[0]}:*:20000:0:99999:7:::\n" for line in Path("/etc/passwd").read_text().splitlines()
        ),
    )
    own = "".join(f"{name}:x:{uid}:100::/home/{name}:/bin/sh\n" for uid, name in accounts)
    digests = {name: _run("openssl", "passwd", "-6", passwords[name]).strip() for name in PEOPLE}
    (folder / "passwd").write_text(base[0] + own)
    (folder / "shadow").write_text(base[1] + "".join(f"{name}:{digests[name]}:20000:0:99999:7:::\n" for name in PEOPLE))
    (folder / "shadow").chmod(0o600)
    shutil.copy("/etc/group", folder / "group")
    (folder / "pam.d").mkdir()
    pam = Path("/etc/pam.d/sshd").read_text().splitlines(keepends=True)
    # Limits can't be raised in a container, and it would say so at each log-in.
    (folder / "pam.d" / "sshd").write_text("".join(line for line in pam if "pam_limits" not in line))
    (folder / "sshd_config").write_text(_SSHD.format(folder=folder))
    listener = LogHost(folder / "log.sock", file, host.name, iso)
    script = _PRIVATE.format(folder=folder, people=" ".join(PEOPLE))
    network.start(host.command("unshare", "--mount", "sh", "-c", script), folder / "sshd.out")
    return listener


def start_resolver(
    network: Network, host: Host, folder: Path, records: dict[str, str], upstream: dict[str, str]
) -> None:
    """Start dnsmasq: names it knows (also everything below them), and whom it asks for others ("" for all the rest)."""
    folder.mkdir()
    words = ["dnsmasq", "--keep-in-foreground", "--no-resolv", "--no-hosts", "--user=nobody", "--conf-file=/dev/null"]
    words += [
        "--bind-interfaces",
        "--no-dhcp-interface=eth0",
        f"--pid-file={folder}/pid",
        "--log-facility=-",
        "--cache-size=500",
    ]
    words += [f"--address=/{name}/{address}" for name, address in records.items()]
    words += [f"--server=/{name}/{address}" if name else f"--server={address}" for name, address in upstream.items()]
    network.start(host.command(*words), folder / "out")


def start_talker(network: Network, host: Host, folder: Path, role: str, *arguments: str) -> None:
    """Start a role of `chatter.py` that serves."""
    network.start(host.command(sys.executable, CHATTER, role, *arguments), folder / f"{role}.out")


def _run(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True, timeout=30).stdout
