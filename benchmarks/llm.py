"""Language models: our layer beside bare litellm, the fallback after a provider that is down, settings until served."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.measure import scratch
from resources.environment import environment
from resources.llm import engine
from resources.llm.client import Completion, Llm, Message, Piece, Request
from resources.settings import load_settings
from resources.warehouse import Warehouse
from tests.standins.llm import KEY, KEY_VARIABLE, models_yaml

PROMPT, WORDS, LENGTH = "Say what you like about the day.", 60, 3_000
"""The answer's words, and the characters of the question: those of a summary."""
SILENCE = 2.0
"""The time-out of the provider that hangs."""
DEAD = "http://127.0.0.1:9/v1"

SERVER = f"""
import sys
from tests.standins.llm import HANGS, Reply, llm_server, out_of_order
text = " ".join(["word"] * {WORDS})
answers = {{"hangs": HANGS, "broken": out_of_order()}}
with llm_server() as server:
    server.answer = lambda body: answers.get(body["model"]) or Reply(body["model"] + " " + text)
    print(server.url, flush=True)
    sys.stdin.read()
"""


@contextmanager
def serving() -> Iterator[str]:
    """The stand-in in a process of its own: its work is not counted as that of who asks."""
    process = subprocess.Popen([sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None and process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.stdin.close()
        process.wait()


class Asker:
    """An `Llm` of a stand-in, with requests that are never alike."""

    def __init__(self, folder: Path, url: str, warehouse: Warehouse | None = None, **settings: Any) -> None:
        self.folder = folder
        (folder / "prompts").mkdir(exist_ok=True)
        (folder / "prompts" / "test.md").write_text(PROMPT, encoding="utf-8")
        self.url, self.number = url, 0
        self.models = models_yaml(folder, url, budget={"tokens": 10**12, "cost": 10**9}, **settings)
        self.llm = Llm(load_settings(), self.models, folder / "prompts", warehouse)

    def request(self, is_new: bool = True) -> Request:
        self.number += is_new
        said = f"{self.number} ".ljust(LENGTH, "x")
        return Request("bench", "bench", self.llm.prompt("test"), (Message("user", said),), lambda: "Nobody was asked.")

    def whole(self) -> None:
        answer = self.llm.complete(self.request(), is_fresh=True)
        assert answer.entry == "stand-in", answer

    def cached(self) -> None:
        assert self.llm.complete(self.request(is_new=False)).is_cached

    def streamed(self) -> None:
        *pieces, last = self.llm.stream(self.request())
        assert isinstance(last, Completion) and len(pieces) > WORDS


def bare(url: str, is_streamed: bool) -> Callable[[], None]:
    """A call as somebody would write it who has litellm alone."""
    import litellm

    def ask() -> None:
        answer: Any = litellm.completion(
            **_asked(url),
            stream=is_streamed,
            **({"stream_options": {"include_usage": True}} if is_streamed else {}),
        )
        text = (
            "".join(chunk.choices[0].delta.content or "" for chunk in answer if chunk.choices)
            if is_streamed
            else answer.choices[0].message.content
        )
        assert len(text.split()) == WORDS + 1

    return ask


def bare_in_a_loop(url: str) -> Callable[[], None]:
    """The same, streamed, in the loop of a thread that is there: what our layer does beneath."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()

    async def ask() -> None:
        import litellm

        answer: Any = await litellm.acompletion(**_asked(url), stream=True, stream_options={"include_usage": True})
        text = "".join([chunk.choices[0].delta.content or "" async for chunk in answer if chunk.choices])
        assert len(text.split()) == WORDS + 1

    return lambda: asyncio.run_coroutine_threadsafe(ask(), loop).result()


def _asked(url: str) -> dict[str, Any]:
    return {
        "model": "openai/stand-in",
        "api_base": url,
        "api_key": KEY,
        "messages": [{"role": "system", "content": PROMPT}, {"role": "user", "content": "x" * LENGTH}],
        "timeout": 20,
        "num_retries": 0,
        "max_retries": 0,
    }


def overhead(folder: Path, url: str, home: Path, rounds: int, calls: int) -> None:
    """Each way of asking in turn, round after round; ratios are those within a round."""
    alone = Asker(folder, url)
    recorded = Asker(folder, url, Warehouse(load_settings(home=home)))
    recorded.whole()
    recorded.llm.complete(recorded.request(is_new=False))
    ways: dict[str, Callable[[], None]] = {
        "bare litellm, whole": bare(url, is_streamed=False),
        "bare litellm, streamed": bare(url, is_streamed=True),
        "bare litellm, streamed in a loop": bare_in_a_loop(url),
        "ours, streamed, nothing recorded": alone.streamed,
        "ours, whole, nothing recorded": alone.whole,
        "ours, whole, with budget, record and cache in Postgres": recorded.whole,
        "ours, from the cache": recorded.cached,
    }
    for way in ways.values():
        way()
    times: dict[str, list[float]] = {name: [] for name in ways}
    costs: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            seconds, used = [], time.process_time()
            for _ in range(calls):
                began = time.perf_counter()
                way()
                seconds.append(time.perf_counter() - began)
            times[name].append(statistics.median(seconds) * 1e3)
            # Of a processor, ours alone: steadier than the clock on a machine with other work.
            costs[name].append((time.process_time() - used) / calls * 1e3)
    base = costs["bare litellm, streamed in a loop"]
    print(
        f"| one call, an answer of {WORDS} words over loopback | median ms | ms of a core | of bare litellm in a loop |"
    )
    print("| --- | ---: | ---: | ---: |")
    for name, used in costs.items():
        ratios = [one / other for one, other in zip(used, base, strict=True)]
        print(
            f"| {name} | {statistics.median(times[name]):.1f} | {statistics.median(used):.1f} |"
            f" {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) |",
            flush=True,
        )


@contextmanager
def black_hole() -> Iterator[str]:
    """An address that takes no connection and does not refuse it either: its queue is full."""
    with socket.socket() as hole:
        hole.bind(("127.0.0.1", 0))
        hole.listen(0)
        full = [socket.socket() for _ in range(3)]
        for one in full:
            one.setblocking(False)
            one.connect_ex(hole.getsockname())
        try:
            yield f"http://127.0.0.1:{hole.getsockname()[1]}/v1"
        finally:
            for one in full:
                one.close()


def fallback(folder: Path, url: str, times: int) -> None:
    """Seconds to the whole answer of the second entry, at the first request and at the next ones."""

    def entry(model: str, base: str) -> dict[str, str]:
        return {"model": f"openai/{model}", "api_base": base, "api_key_variable": KEY_VARIABLE}

    print("\n| the first provider | first request, median s | slowest | next requests, median s | slowest |")
    print("| --- | ---: | ---: | ---: | ---: |")
    with black_hole() as hole:
        for name, first, count in (
            ("nobody listens", entry("m", DEAD), times),
            ("takes no connection", entry("m", hole), times),
            ("answers 500, and again", entry("broken", url), times),
            (f"hangs; its time-out is {SILENCE:g} s", entry("hangs", url), max(3, times // 4)),
        ):
            firsts, nexts = [], []
            for _ in range(count):
                asker = Asker(
                    folder,
                    url,
                    use=["first", "stand-in"],
                    entries={"first": first},
                    timeout_seconds=SILENCE,
                    pause_seconds=60,
                )
                for taken in (firsts, nexts, nexts, nexts):
                    began = time.perf_counter()
                    asker.whole()
                    taken.append(time.perf_counter() - began)
            print(
                f"| {name} | {statistics.median(firsts):.2f} | {max(firsts):.2f} | {statistics.median(nexts):.2f} |"
                f" {max(nexts):.2f} |",
                flush=True,
            )


def swap(folder: Path, url: str, times: int) -> None:
    """Seconds from a new models.yaml, or a new prompt, to the first answer that was asked for with it."""
    asker = Asker(folder, url)
    asker.whole()
    taken: dict[str, list[float]] = {"models.yaml": [], "a prompt": []}
    for number in range(times):
        time.sleep(random.uniform(0, 1.5))
        model = f"model-{number}"
        other = folder / "other"
        other.mkdir(exist_ok=True)
        entries = {"stand-in": {"model": f"openai/{model}", "api_base": url, "api_key_variable": KEY_VARIABLE}}
        made = models_yaml(other, url, entries=entries, budget={"tokens": 10**12, "cost": 10**9})
        began = time.perf_counter()
        os.replace(made, asker.models)
        while not _first(asker).startswith(model):
            time.sleep(0.01)
        taken["models.yaml"].append(time.perf_counter() - began)
        prompt = folder / "prompts" / "test.md"
        began = time.perf_counter()
        prompt.write_text(f"{PROMPT} {number}", encoding="utf-8")
        while not asker.llm.prompt("test").text.endswith(f" {number}"):
            time.sleep(0.01)
        asker.whole()
        taken["a prompt"].append(time.perf_counter() - began)
    print("\n| changed, until an answer is asked for with it | median s | slowest s |\n| --- | ---: | ---: |")
    for name, seconds in taken.items():
        print(f"| {name}, {times} times | {statistics.median(seconds):.2f} | {max(seconds):.2f} |", flush=True)


def _first(asker: Asker) -> str:
    """The first piece of an answer; the rest is not waited for."""
    stream = asker.llm.stream(asker.request())
    event = next(stream)
    stream.close()
    assert isinstance(event, Piece), event
    return event.text


def measure(folder: Path, rounds: int = 7, calls: int = 30, times: int = 20) -> None:
    """All three."""
    from resources.embedded_postgres import ensure, release

    # That the stand-ins have no price is no news.
    logging.getLogger("cartograph.llm").setLevel(logging.ERROR)
    home = folder / "home"
    ensure(home)
    with environment({KEY_VARIABLE: KEY}), serving() as url:
        began = time.perf_counter()
        engine.ready()
        print(f"importing litellm, once a process: {time.perf_counter() - began:.1f} s\n")
        overhead(folder, url, home, rounds, calls)
        fallback(folder, url, times)
        swap(folder, url, times)
    release(home)


if __name__ == "__main__":
    with scratch() as place:
        place.chmod(0o755)
        measure(place)
