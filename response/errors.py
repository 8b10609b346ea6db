"""Errors of the response layer.

    ResponseError                  response.error
    ├── MissingSinkError           response.no-audit-sink     somebody wants to act without an audit log
    ├── MissingActuatorError       response.no-actuator       `enforce` without anything that could act
    ├── TransitionError            response.transition        an action cannot go from its state to that one
    ├── MachineFactsError          response.machine           own addresses or gateways cannot be found out
    ├── RefusedError               response.refused           a guard forbids the action
    └── ActuatorError              response.actuator          the means failed
        ├── ToolMissingError       response.no-tool           the program that it runs is not installed
        ├── CapabilityError        response.capability        the kernel wants a capability that we lack
        ├── EnforcerDownError      response.enforcer-down     the enforcer cannot be reached or does not answer in time
        └── EnforcerProtocolError  response.enforcer-protocol request or answer of the enforcer is not as agreed

The first three are mistakes of the caller. Hostile targets are never errors here: a guard refuses them with a reason.
"""


class ResponseError(Exception):
    """Base of all errors that the response layer raises; `code` is stable."""

    code = "response.error"


class MissingSinkError(ResponseError):
    """There is no audit sink: nothing may be done, or even proposed, unrecorded."""

    code = "response.no-audit-sink"


class MissingActuatorError(ResponseError):
    """The mode is `enforce`, but there is no actuator."""

    code = "response.no-actuator"


class TransitionError(ResponseError):
    """An action cannot go from its present state to the one asked for."""

    code = "response.transition"


class MachineFactsError(ResponseError):
    """Own addresses, gateways or DNS servers cannot be found out, so nobody can be spared safely."""

    code = "response.machine"


class RefusedError(ResponseError):
    """A guard forbids the action; `reason` is the guard's code."""

    code = "response.refused"

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class ActuatorError(ResponseError):
    """The means of action failed; nothing is known to have changed."""

    code = "response.actuator"


class ToolMissingError(ActuatorError):
    """A program that the actuator runs is not installed."""

    code = "response.no-tool"


class CapabilityError(ActuatorError):
    """The kernel wants a capability that this process lacks; the text names it."""

    code = "response.capability"


class EnforcerDownError(ActuatorError):
    """The enforcer cannot be reached, or does not answer in time."""

    code = "response.enforcer-down"


class EnforcerProtocolError(ActuatorError):
    """A request or an answer of the enforcer is not as agreed."""

    code = "response.enforcer-protocol"
