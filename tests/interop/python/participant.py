"""LiveKit's Python client for the Rust tests: one JSON request a line on stdin, one JSON reply a line on stdout.

A participant that publishes a tone and a moving picture and counts what it receives. The tests hold every
expectation; this file only does what they ask and says what it saw.
"""

import asyncio
import json
import math
import sys
from array import array

from livekit import rtc

RATE = 48_000
FRAME = RATE // 100
WIDTH, HEIGHT = 320, 180


class Participant:
    def __init__(self):
        self.room = rtc.Room()
        self.events = []
        self.received = {}
        self.data_tracks = {}
        self.frames = {}
        self.tasks = set()

    def note(self, name, **details):
        self.events.append({"name": name, **details})

    def spawn(self, work):
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self.done)

    def done(self, task):
        self.tasks.discard(task)
        if not task.cancelled() and task.exception():
            self.note("fault", text=repr(task.exception()))
            print(repr(task.exception()), file=sys.stderr, flush=True)

    async def join(self, url, token, single=True):
        room = self.room
        room.on("participant_connected", lambda p: self.note("joined", **{"from": p.identity}))
        room.on("participant_disconnected", lambda p: self.note("left", **{"from": p.identity}))
        room.on("disconnected", lambda reason: self.note("disconnected", reason=int(reason)))
        room.on("reconnecting", lambda: self.note("reconnecting"))
        room.on("reconnected", lambda: self.note("reconnected"))
        room.on("track_muted", lambda p, pub: self.note("muted", **{"from": p.identity, "sid": pub.sid}))
        room.on("track_subscribed", self.on_track)
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
        self.note("subscribed", kind=kind, **{"from": participant.identity})
        count = self.received.setdefault(f"{participant.identity}/{kind}", {"frames": 0, "energy": 0.0})
        self.spawn(self.listen(track, count) if is_audio else self.watch(track, count))

    async def listen(self, track, count):
        stream = rtc.AudioStream(track)
        async for event in stream:
            samples = array("h", bytes(event.frame.data))
            count["frames"] += 1
            count["energy"] += sum((s / 32768) ** 2 for s in samples[::16]) * 16
        await stream.aclose()

    async def watch(self, track, count):
        stream = rtc.VideoStream(track)
        async for event in stream:
            count["frames"] += 1
            count["width"], count["height"] = event.frame.width, event.frame.height
        await stream.aclose()

    async def publish(self):
        audio = rtc.AudioSource(RATE, 1)
        video = rtc.VideoSource(WIDTH, HEIGHT)
        me = self.room.local_participant
        await me.publish_track(
            rtc.LocalAudioTrack.create_audio_track("tone", audio),
            rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE),
        )
        await me.publish_track(
            rtc.LocalVideoTrack.create_video_track("picture", video),
            rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_CAMERA),
        )
        self.spawn(self.sing(audio))
        self.spawn(self.paint(video))

    async def sing(self, source):
        at = 0
        while True:
            wave = (int(12_000 * math.sin(2 * math.pi * 440 * (at + n) / RATE)) for n in range(FRAME))
            # capture_frame waits while its queue is full: the source is the clock.
            await source.capture_frame(rtc.AudioFrame(array("h", wave).tobytes(), RATE, 1, FRAME))
            at += FRAME

    async def paint(self, source):
        step = 0
        while True:
            shade = bytes([step * 5 % 256, 128, 255 - step * 3 % 256, 255])
            frame = rtc.VideoFrame(WIDTH, HEIGHT, rtc.VideoBufferType.RGBA, shade * (WIDTH * HEIGHT))
            source.capture_frame(frame)
            step += 1
            await asyncio.sleep(1 / 15)

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

    async def media(self):
        return self.received

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
    "join", "publish", "people", "media", "seen", "data", "text", "rpc", "metadata", "leave",
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
