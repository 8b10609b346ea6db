"""Names of DCE/RPC interfaces that matter to defenders, by UUID.

Sources: Microsoft Open Specifications MS-SCMR, MS-TSCH, MS-RRP, MS-SAMR, MS-LSAD, MS-DRSR, MS-NRPC, MS-RPCE,
MS-SRVS, MS-WKST, MS-DCOM, MS-WMI, MS-BKRP, MS-EFSR, MS-RPRN, MS-EVEN, MS-EVEN6,
MS-DFSNM, MS-FSRVP.
"""

from collections.abc import Mapping
from typing import Final

INTERFACES: Final[Mapping[str, str]] = {
    "367abb81-9844-35f1-ad32-98f038001003": "svcctl",
    "1ff70682-0a51-30e8-076d-740be8cee98b": "atsvc",
    "86d35949-83c9-4044-b424-db363231fd0c": "taskscheduler",
    "378e52b0-c0a9-11cf-822d-00aa0051e40f": "sasec",
    "338cd001-2244-31f1-aaaa-900038001003": "winreg",
    "12345778-1234-abcd-ef00-0123456789ac": "samr",
    "12345778-1234-abcd-ef00-0123456789ab": "lsarpc",
    "e3514235-4b06-11d1-ab04-00c04fc2dcd2": "drsuapi",
    "12345678-1234-abcd-ef00-01234567cffb": "netlogon",
    "e1af8308-5d1f-11c9-91a4-08002b14a0fa": "epmapper",
    "4b324fc8-1670-01d3-1278-5a47bf6ee188": "srvsvc",
    "6bffd098-a112-3610-9833-46c3f87e345a": "wkssvc",
    "99fcfec4-5260-101b-bbcb-00aa0021347a": "objectexporter",
    "000001a0-0000-0000-c000-000000000046": "activator",
    "4d9f4ab8-7d1c-11cf-861e-0020af6e7c57": "activation",
    "00000131-0000-0000-c000-000000000046": "remunknown",
    "00000143-0000-0000-c000-000000000046": "remunknown2",
    "00020400-0000-0000-c000-000000000046": "idispatch",
    "f309ad18-d86a-11d0-a075-00c04fb68820": "wbemlogin",
    "d4781cd6-e5d3-44df-ad94-930efe48a887": "wbemloginhelper",
    "9556dc99-828c-11cf-a37e-00aa003240c7": "wbemservices",
    "027947e1-d731-11ce-a357-000000000001": "wbemenum",
    "423ec01e-2e35-11d2-b604-00104b703efd": "wbemfetch",
    "3dde7c30-165d-11d1-ab8f-00805f14db40": "backupkey",
    "c681d488-d850-11d0-8c52-00c04fd90f7e": "efsrpc",
    "df1941c5-fe89-4e79-bf10-463657acf44d": "efsrpc",
    "12345678-1234-abcd-ef00-0123456789ab": "spoolss",
    "82273fdc-e32a-18c3-3f78-827929dc23ea": "eventlog",
    "f6beaff7-1e19-4fbb-9f8f-b89e2018337c": "eventlog6",
    "4fc742e0-4a10-11cf-8273-00aa004ae673": "netdfs",
    "a8e0653c-2744-4389-a61d-7373df8b2292": "fsrvp",
}
