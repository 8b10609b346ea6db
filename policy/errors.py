"""Errors of the policy layer.

    PolicyError                     policy.error
    ├── BundleError                 policy.bundle           a bundle that cannot be read, compiled or is too large
    │   ├── SignatureError          policy.signature        a bundle that nobody trusted has signed
    │   ├── EpochError              policy.epoch            a bundle older than one that was in force
    │   ├── JudgementError          policy.judgement        a bundle that lint, its tests or real OPA speak against
    │   └── ActivationError         policy.activation       bundles kept on disk cannot be read or written
    ├── EvaluationError             policy.evaluation       the engine failed, panicked or gave no decision
    │   ├── AnswerError             policy.answer           the engine's answer is not a decision
    │   └── SlowError               policy.slow             the decision took too long and was ended
    ├── EngineUnavailableError      policy.unavailable      the OPA server is gone, slow, or its client is not installed
    ├── RevisionError               policy.revision         the OPA server serves another policy than ours
    ├── DocumentError               policy.document         a request that no input document can be made of
    ├── DialectError                policy.dialect          a gateway's question that cannot be read
    └── IdentityError               identity.error          keys, certificates or settings of identity that are unusable
        └── CredentialError         identity.credential     a credential that proves nothing; `code` says why

Whoever asks for a decision and gets one of these has none, and answers as the route declares.
"""


class PolicyError(Exception):
    """Base of all errors that the policy layer raises; `code` is stable."""

    code = "policy.error"


class BundleError(PolicyError):
    """A bundle that cannot be read, does not compile, or is too large."""

    code = "policy.bundle"


class SignatureError(BundleError):
    """A bundle that is not signed by a key that is trusted, or is not what was signed."""

    code = "policy.signature"


class EpochError(BundleError):
    """A bundle that is older than one that was in force: perhaps a replay."""

    code = "policy.epoch"


class JudgementError(BundleError):
    """A bundle that the rules of activation, its own tests or real OPA speak against."""

    code = "policy.judgement"


class ActivationError(BundleError):
    """The bundles kept on disk cannot be read or written, or there is none to go back to."""

    code = "policy.activation"


class EvaluationError(PolicyError):
    """The engine failed or panicked, or the policy has no decision."""

    code = "policy.evaluation"


class AnswerError(EvaluationError):
    """The engine answered with something that is not a decision."""

    code = "policy.answer"


class SlowError(EvaluationError):
    """The decision took longer than it may, or wanted more memory, and was ended."""

    code = "policy.slow"


class EngineUnavailableError(PolicyError):
    """The OPA server cannot be reached or is too slow, or its client is not installed."""

    code = "policy.unavailable"


class RevisionError(PolicyError):
    """The OPA server serves another policy than the bundle that we were given."""

    code = "policy.revision"


class DocumentError(PolicyError):
    """A request that no input document can be made of (text that is not Unicode, numbers that are not finite)."""

    code = "policy.document"


class DialectError(PolicyError):
    """A gateway's question that cannot be read; `code` says what is wrong with it."""

    code = "policy.dialect"

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class IdentityError(PolicyError):
    """Keys, certificates or settings that identities cannot be proven by."""

    code = "identity.error"


class CredentialError(IdentityError):
    """A credential that proves nothing; `code` says why. Its text never holds the credential."""

    code = "identity.credential"

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code
