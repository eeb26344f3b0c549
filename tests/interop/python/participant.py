"""LiveKit's Python client for the Rust tests: one JSON request a line on stdin, one JSON reply a line on stdout.

A participant that publishes a person's tone and moving picture, and says whose it sees and hears. The tests hold
every expectation; this file only does what they ask and says what it saw.
"""

import asyncio
import json
import sys

from livekit import rtc

from face import FPS, FRAME, HEIGHT, RATE, WIDTH, Entry, pictures, tone

SOURCES = {
    rtc.TrackSource.SOURCE_CAMERA: "camera",
    rtc.TrackSource.SOURCE_MICROPHONE: "microphone",
    rtc.TrackSource.SOURCE_SCREENSHARE: "screen_share",
}


class Participant:
    def __init__(self):
        self.room = rtc.Room()
        self.face = 0
        self.events = []
        # Of every track that is subscribed, by its identifier; a track that comes anew begins anew.
        self.entries = {}
        self.subscribed = 0
        self.published = {}
        self.data_tracks = {}
        self.frames = {}
        self.tasks = set()

    def note(self, name, **details):
        self.events.append({"name": name, **details})

    def spawn(self, work):
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self.done)
        return task

    def done(self, task):
        self.tasks.discard(task)
        if not task.cancelled() and task.exception():
            self.note("fault", text=repr(task.exception()))
            print(repr(task.exception()), file=sys.stderr, flush=True)

    async def join(self, url, token, face, single=True):
        room = self.room
        self.face = face
        room.on("participant_connected", lambda p: self.note("joined", **{"from": p.identity}))
        room.on("participant_disconnected", lambda p: self.note("left", **{"from": p.identity}))
        room.on("disconnected", lambda reason: self.note("disconnected", reason=int(reason)))
        room.on("reconnecting", lambda: self.note("reconnecting"))
        room.on("reconnected", lambda: self.note("reconnected"))
        room.on("track_muted", lambda p, pub: self.note("muted", **{"from": p.identity, "sid": pub.sid}))
        room.on("track_subscribed", self.on_track)
        room.on("track_unsubscribed", self.on_track_gone)
        room.on("data_received", self.on_data)
        room.on("data_track_published", self.on_data_track)
        room.on("chat_message", lambda m, p: self.note("chat", text=m.message))
        room.register_text_stream_handler("lk.chat", self.on_text)
        room.register_text_stream_handler("test", self.on_text)
        options = rtc.RoomOptions(auto_subscribe=True, single_peer_connection=single)
        await room.connect(url, token, options)
        room.local_participant.register_rpc_method("echo", self.on_rpc)
        return room.local_participant.identity

    def on_data(self, packet):
        sender = packet.participant.identity if packet.participant else None
        self.note("data", text=packet.data.decode(), topic=packet.topic, **{"from": sender})

    def on_text(self, reader, sender):
        async def read():
            self.note("text", text=await reader.read_all(), topic=reader.info.topic, **{"from": sender})

        self.spawn(read())

    async def on_rpc(self, call):
        return f"{call.caller_identity}: {call.payload}"

    def on_track(self, track, publication, participant):
        is_audio = track.kind == rtc.TrackKind.KIND_AUDIO
        kind = "audio" if is_audio else "video"
        source = SOURCES.get(publication.source)
        self.subscribed += 1
        entry = Entry(self.subscribed, kind, participant.identity, source)
        self.entries[publication.sid] = entry
        self.note("subscribed", kind=kind, source=source, **{"from": participant.identity})
        self.spawn(self.listen(track, entry) if is_audio else self.watch(track, entry))

    def on_track_gone(self, track, publication, participant):
        self.entries.pop(publication.sid, None)
        self.note("unsubscribed", source=SOURCES.get(publication.source), **{"from": participant.identity})

    async def listen(self, track, entry):
        stream = rtc.AudioStream(track, sample_rate=RATE, num_channels=1)
        async for event in stream:
            entry.hear(bytes(event.frame.data))
        await stream.aclose()

    async def watch(self, track, entry):
        # What is not looked at in time is not waited for.
        stream = rtc.VideoStream(track, capacity=2, format=rtc.VideoBufferType.I420)
        async for event in stream:
            entry.look_at(event.frame)
        await stream.aclose()

    async def publish(self):
        await self.publish_microphone()
        await self.publish_video("camera")

    async def publish_microphone(self):
        source = rtc.AudioSource(RATE, 1)
        track = rtc.LocalAudioTrack.create_audio_track("tone", source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        await self.publish_as("microphone", track, options, self.sing(source))

    async def publish_video(self, source):
        """A camera, or a screen that shows the same."""
        picture = rtc.VideoSource(WIDTH, HEIGHT)
        track = rtc.LocalVideoTrack.create_video_track(source, picture)
        kind = next(kind for kind, name in SOURCES.items() if name == source)
        await self.publish_as(source, track, rtc.TrackPublishOptions(source=kind), self.paint(picture))

    async def publish_as(self, source, track, options, work):
        if source in self.published:
            # The server has taken that one back.
            self.published.pop(source)[1].cancel()
        publication = await self.room.local_participant.publish_track(track, options)
        self.published[source] = (publication, self.spawn(work))

    async def unpublish(self, source):
        publication, work = self.published.pop(source)
        work.cancel()
        await self.room.local_participant.unpublish_track(publication.sid)

    async def sing(self, source):
        while True:
            for frame in tone(self.face):
                # capture_frame waits while its queue is full: the source is the clock.
                await source.capture_frame(rtc.AudioFrame(frame, RATE, 1, FRAME))

    async def paint(self, source):
        while True:
            for picture in pictures(self.face):
                source.capture_frame(rtc.VideoFrame(WIDTH, HEIGHT, rtc.VideoBufferType.I420, picture))
                await asyncio.sleep(1 / FPS)

    async def people(self):
        return [
            {
                "identity": p.identity,
                "name": p.name,
                "metadata": p.metadata,
                "attributes": dict(p.attributes),
                "tracks": [{"sid": t.sid, "muted": t.muted} for t in p.track_publications.values()],
            }
            for p in self.room.remote_participants.values()
        ]

    async def presented(self):
        return [entry.seen for entry in self.entries.values()]

    async def subscribe(self, changes):
        for change in changes:
            for publication in self.room.remote_participants[change["from"]].track_publications.values():
                if SOURCES.get(publication.source) == change["source"]:
                    publication.set_subscribed(change["on"])

    async def may_publish(self):
        return self.room.local_participant.permissions.can_publish

    async def reconnect(self):
        await self.room.simulate_scenario(rtc.SimulateScenarioKind.SIMULATE_FULL_RECONNECT)

    async def seen(self):
        return self.events

    async def data(self, text, to=(), topic=""):
        await self.room.local_participant.publish_data(
            text.encode(), reliable=True, destination_identities=list(to), topic=topic
        )

    async def text(self, text, topic="test"):
        await self.room.local_participant.send_text(text, topic=topic)

    async def rpc(self, to, payload):
        return await self.room.local_participant.perform_rpc(
            destination_identity=to, method="echo", payload=payload
        )

    async def metadata(self, metadata):
        await self.room.local_participant.set_metadata(metadata)

    def on_data_track(self, track):
        self.note("data_published", track=track.info.name, **{"from": track.publisher_identity})
        frames = self.frames.setdefault(f"{track.publisher_identity}/{track.info.name}", [])
        self.spawn(self.collect(track, frames))

    async def collect(self, track, frames):
        async for frame in track.subscribe(buffer_size=256):
            number = int.from_bytes(frame.payload[:4], "big")
            intact = set(frame.payload[4:]) <= {number % 256} and frame.user_timestamp == number
            frames.append([number, intact])

    async def publish_data(self, name):
        self.data_tracks[name] = await self.room.local_participant.publish_data_track(name=name)

    async def push_data(self, name, number, size=40):
        payload = number.to_bytes(4, "big") + bytes([number % 256]) * (size - 4)
        frame = rtc.DataTrackFrame(payload=payload, user_timestamp=number)
        self.data_tracks[name].try_push(frame)

    async def heard_data(self):
        return self.frames

    async def leave(self):
        await self.room.disconnect()


METHODS = {
    "join", "publish", "publish_microphone", "publish_video", "unpublish", "subscribe", "reconnect", "may_publish",
    "presented", "people", "seen", "data", "text", "rpc", "metadata", "leave",
    "publish_data", "push_data", "heard_data",
}


def reply(value):
    print(json.dumps(value), flush=True)


async def answer(participant, request):
    try:
        if request["method"] not in METHODS:
            raise ValueError(f"no method {request['method']}")
        result = await getattr(participant, request["method"])(**(request.get("params") or {}))
        reply({"id": request["id"], "result": result})
    except Exception as error:  # every failure belongs to the test that asked
        reply({"id": request["id"], "error": f"{type(error).__name__}: {error}"})


async def main():
    participant = Participant()
    lines = asyncio.StreamReader(limit=1 << 20)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    reply({"id": 0, "result": "ready"})
    while line := await lines.readline():
        participant.spawn(answer(participant, json.loads(line)))


asyncio.run(main())
