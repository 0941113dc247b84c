"""The narrator: a provider of litellm that is no language model and says what our own code has written."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import ContextVar
from typing import Any

PROVIDER, MODEL = "narrator", "narrator/v1"

NARRATION: ContextVar[Callable[[], str]] = ContextVar("narration")
"""What the narrator says in this context. A message could not hold it: it is code, not text."""

_PIECE = re.compile(r"(\S+\s*|\s+)\1*")
"""A word, or a run of it: litellm ends a stream whose pieces are the same."""


def register() -> None:
    """Make the narrator known to litellm, besides what other providers are known to it."""
    import litellm
    from litellm.llms.custom_llm import CustomLLM
    from litellm.types.utils import GenericStreamingChunk, ModelResponse

    # No token of a language model is used.
    usage = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}

    def chunks() -> Iterator[GenericStreamingChunk]:
        for piece in [*(found[0] for found in _PIECE.finditer(_narrated())), ""]:
            yield GenericStreamingChunk(
                text=piece,
                is_finished=not piece,
                finish_reason="" if piece else "stop",
                usage=None if piece else usage,  # type: ignore[typeddict-item]
                index=0,
                tool_use=None,
            )

    class Narrator(CustomLLM):
        """Answers with what `NARRATION` holds; the messages are not read."""

        def completion(self, *_: Any, **__: Any) -> ModelResponse:
            return ModelResponse(
                model=MODEL,
                choices=[
                    {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": _narrated()}}
                ],
                usage=usage,
            )

        async def acompletion(self, *_: Any, **__: Any) -> ModelResponse:
            return self.completion()

        def streaming(self, *_: Any, **__: Any) -> Iterator[GenericStreamingChunk]:
            return chunks()

        async def astreaming(  # type: ignore[override]
            self, *_: Any, **__: Any
        ) -> AsyncIterator[GenericStreamingChunk]:
            for chunk in chunks():
                yield chunk
                await asyncio.sleep(0)

    others = [entry for entry in litellm.custom_provider_map if entry["provider"] != PROVIDER]
    litellm.custom_provider_map = [*others, {"provider": PROVIDER, "custom_handler": Narrator()}]


def _narrated() -> str:
    narrate = NARRATION.get(None)
    if narrate is None:
        raise LookupError("the narrator was asked without NARRATION: set it to what it is to say")
    return narrate()
