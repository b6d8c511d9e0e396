"""Messages that people write in the console's threads: shown there first, then acted on."""

from __future__ import annotations

import uuid

from agents.domain import ThreadRef
from bot.conversation import Said, objection
from bot.desk import Outcome
from bot.platforms.console.adapter import NAME
from bot.views import NoteView
from bot.web.context import Web
from bot.web.errors import WebError
from jobs.commands import Refusal
from jobs.state import Person

NO_THREAD = "A run's `thread` has the id; look in the console for what there is."


async def say(web: Web, thread_id: str, text: str, person: Person, key: str = "") -> Said:
    """Take a message; the same key of the same person is taken once. WebError 404: no thread.

    It is posted before it is acted on: so it has a time that a repetition shares, and others
    see what the run was told.
    """
    console = web.deps.console
    thread = await console.thread(thread_id)
    if thread is None:
        raise WebError(404, f"There is no thread {thread_id[:80]}.", NO_THREAD)
    text = web.deps.desk.clean(text)
    if problem := objection(text):
        return Said(Outcome(Refusal.INVALID.value, problem))
    post_key = f"say:{person.id}:{thread.id}:{key or uuid.uuid4().hex}"
    note = NoteView(text=text, author=person.name)
    message = await console.post(thread.id, note, post_key, web.deps.clock())
    place = ThreadRef(NAME, thread.channel, thread.id)
    return await web.conversation.say(place, text, person, key=key, at=message.posted_at)
