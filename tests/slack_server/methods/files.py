"""Uploads and downloads: files.*."""

from __future__ import annotations

import mimetypes

from tests.slack_server.ask import Ask
from tests.slack_server.content import read_content
from tests.slack_server.errors import Refused
from tests.slack_server.happenings import posted
from tests.slack_server.payloads import file_json
from tests.slack_server.state import File, Json


def upload_url(ask: Ask) -> Json:
    """Announce a file and get the address to send its bytes to."""
    name = ask.need("filename")
    size = ask.number("length", 0)
    if size < 1:
        raise Refused("invalid_arguments", ["length must be greater than 0"])
    key = ask.core.new_id("F")
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    ask.team.files[key] = File(key, name, size, ask.team.bot_user, mimetype=kind)
    return {"upload_url": f"{ask.core.base_url}/upload/v1/{ask.team.id}/{key}", "file_id": key}


def complete(ask: Ask) -> Json:
    """Keep the uploaded files, and share them in a channel or thread."""
    listed = ask.json("files")
    if not isinstance(listed, list) or not listed:
        raise Refused("invalid_arguments", ["missing required field: files"])
    files: list[File] = []
    for item in listed:
        file = ask.team.files.get(str(item.get("id"))) if isinstance(item, dict) else None
        if file is None or file.is_complete:
            raise Refused("file_not_found")
        if file.content is None or len(file.content) != file.size:
            raise Refused("file_update_failed", [f"{file.id}: the upload is not complete"])
        file.title = str(item.get("title") or file.name)
        files.append(file)
    shared = ask.text("channel_id")
    if shared:
        _share(ask, files)
    for file in files:
        file.is_complete = True
    return {"files": [file_json(ask.team, file, ask.core.base_url) for file in files]}


def _share(ask: Ask, files: list[File]) -> None:
    if ask.text("channel_id") not in ask.team.channels:
        raise Refused("channel_not_found")
    ask.args["channel"] = ask.text("channel_id")
    channel = ask.writable()
    content = read_content(
        {"text": ask.text("initial_comment"), "blocks": ask.args.get("blocks")},
        files=ask.team.files.keys(),
        refused_blocks=ask.team.refused_blocks,
        may_be_empty=True,
    )
    message = ask.own_message(channel, content, ask.thread(channel))
    message.files = [file.id for file in files]
    message.subtype = "file_share"
    for file in files:
        file.channels.append(channel.id)
    ask.team.put(message)
    posted(ask.core, ask.team, message)


def info(ask: Ask) -> Json:
    """Describe a file."""
    file = ask.team.files.get(ask.need("file"))
    if file is None or not file.is_complete:
        raise Refused("file_not_found")
    return {"file": file_json(ask.team, file, ask.core.base_url)}


def delete(ask: Ask) -> Json:
    """Delete one of the app's own files."""
    file = ask.team.files.get(ask.need("file"))
    if file is None:
        raise Refused("file_not_found")
    if file.user != ask.team.bot_user:
        raise Refused("cant_delete_file")
    del ask.team.files[file.id]
    return {}


METHODS = {
    "files.getUploadURLExternal": upload_url,
    "files.completeUploadExternal": complete,
    "files.info": info,
    "files.delete": delete,
}
