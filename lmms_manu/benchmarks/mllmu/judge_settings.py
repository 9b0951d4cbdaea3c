"""Which factuality judge is asked, as environment variables say it."""

from __future__ import annotations

import dataclasses
import functools
import logging
import os

from lmms_manu import variables
from lmms_manu.settings import Settings, setting

logger = logging.getLogger(__name__)

HOW_TO_SWITCH_ON = (
    "Factuality is not measured, because no judge is configured: set OPENAI_API_KEY, and OPENAI_API_URL and "
    "MODEL_VERSION for another endpoint or model than OpenAI's gpt-4o-mini."
)
_FULL_FORM = "/chat/completions"
_OFF = ("off", "false", "no", "0")


@dataclasses.dataclass(frozen=True)
class JudgeSettings(Settings):
    """Which judge is asked, and how patiently. The first three follow the harness's judged tasks."""

    url: str | None = setting(None, "Endpoint (`OPENAI_API_URL`): the base or the full form; OpenAI's if not set.")
    key: str | None = setting(None, "Key of the endpoint (`OPENAI_API_KEY`).", secret=True)
    model: str = setting("gpt-4o-mini", "Judge model (`MODEL_VERSION`).")
    concurrency: int = setting(8, "Answers judged at a time (`LMMS_MANU_JUDGE_CONCURRENCY`).", minimum=1)
    timeout: float = setting(60.0, "Seconds that one request may take (`LMMS_MANU_JUDGE_TIMEOUT`).", minimum=0.01)
    attempts: int = setting(5, "Requests for one answer until it is given up (`LMMS_MANU_JUDGE_ATTEMPTS`).", minimum=1)
    pause: float = setting(1.0, "Seconds before the second request; they double.", minimum=0.0)
    silence: float = setting(30.0, "Seconds for which an endpoint that fails is left alone.", minimum=0.0)
    trials: int = setting(4, "Times that it is tried after that until it is given up.", minimum=1)

    @classmethod
    def from_environment(cls) -> JudgeSettings | None:
        """The judge that the environment variables configure; None if there is neither a key nor an endpoint.

        Raises:
            SettingError: a value that cannot be.
        """
        names = {
            "url": "OPENAI_API_URL",
            "key": "OPENAI_API_KEY",
            "model": "MODEL_VERSION",
            "concurrency": variables.JUDGE_CONCURRENCY,
            "timeout": variables.JUDGE_TIMEOUT,
            "attempts": variables.JUDGE_ATTEMPTS,
        }
        given = {field: os.environ[name] for field, name in names.items() if os.environ.get(name)}
        switched_off = os.environ.get(variables.JUDGE, "").lower() in _OFF
        if switched_off or not ("url" in given or "key" in given):
            return None
        return cls(**given)  # type: ignore[arg-type]

    @classmethod
    def announced(cls) -> JudgeSettings | None:
        """As `from_environment`; where there is no judge, says once how to switch one on."""
        settings = cls.from_environment()
        if settings is None:
            _say_how_to_switch_on()
        return settings

    @property
    def base_url(self) -> str | None:
        """The endpoint in the form that the openai package wants."""
        return self.url.rstrip("/").removesuffix(_FULL_FORM) if self.url else None


@functools.cache
def _say_how_to_switch_on() -> None:
    if variables.is_first_process():
        logger.warning(HOW_TO_SWITCH_ON)
