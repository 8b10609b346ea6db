"""Which service a well-known port stands for (IANA service names and port numbers; a few that are common beside it)."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from sensors.values import Service

_TCP = {
    Service.FTP: (20, 21),
    Service.SSH: (22, 2222),
    Service.TELNET: (23, 2323),
    Service.SMTP: (25, 465, 587),
    Service.DNS: (53,),
    Service.HTTP: (80, 3128, 8000, 8008, 8080, 8081, 8888),
    Service.KERBEROS: (88, 464),
    Service.POP3: (110, 995),
    Service.SMB: (139, 445),
    Service.IMAP: (143, 993),
    Service.LDAP: (389, 636, 3268, 3269),
    Service.TLS: (443, 853, 8443),
    Service.MODBUS: (502,),
    Service.MQTT: (1883, 8883),
    Service.MYSQL: (3306,),
    Service.RDP: (3389,),
    Service.POSTGRESQL: (5432,),
}
_UDP = {
    Service.DNS: (53,),
    Service.DHCP: (67, 68, 546, 547),
    Service.KERBEROS: (88, 464),
    Service.NTP: (123,),
    Service.SNMP: (161, 162),
    Service.LDAP: (389,),
    Service.QUIC: (443,),
    Service.RDP: (3389,),
}


@cache
def services() -> NDArray[np.uint8]:
    """Return a table [0 for TCP, 1 for UDP][port] of `Service`."""
    table = np.zeros((2, 65536), np.uint8)
    for side, known in enumerate((_TCP, _UDP)):
        for service, ports in known.items():
            table[side, list(ports)] = service
    return table
