// A participant made of livekit-client and nothing else. Tests call `client.*`; events are kept for them to await.
const { Room, RoomEvent, Track, setLogLevel } = LivekitClient;
setLogLevel('info');

const events = [];
let room;
// Fixed waits between attempts to come back, as the web app has them. livekit-client's own are drawn by chance and grow
// to ten seconds, so that how soon a call is back would be theirs to say, not the server's.
const waitsMs = [0, 250, 500, 1000, 1500, 2000];
const reconnectPolicy = {
  nextRetryDelayInMs: ({ retryCount }) => waitsMs[Math.min(retryCount, waitsMs.length - 1)],
};
// Data tracks by name: ours, and what was received of others'.
const published = new Map();
const received = new Map();

function note(name, details = {}) {
  events.push({ name, at: performance.now(), ...details });
}

// As any app does: a track gets an element, and takes it along when it goes. Whose it is, the probe reads there.
function attach(track, publication, participant) {
  const element = track.attach();
  Object.assign(element.dataset, { owner: participant.identity, source: publication.source });
  document.getElementById('media').append(element);
}

globalThis.client = {
  events,
  // options: { single: bool, publish: bool, ...RoomOptions }
  async join({ url, token, single = true, publish = true, simulcast = true, options = {}, connect = {} }) {
    room = new Room({ singlePeerConnection: single, adaptiveStream: false, dynacast: false, reconnectPolicy, ...options });
    globalThis.room = room;
    room
      .on(RoomEvent.TrackSubscribed, (track, publication, participant) => {
        attach(track, publication, participant);
        note('subscribed', { kind: track.kind, source: publication.source, from: participant.identity });
      })
      .on(RoomEvent.TrackUnsubscribed, (track, publication, participant) => {
        track.detach().forEach((element) => element.remove());
        note('unsubscribed', { kind: track.kind, source: publication.source, from: participant.identity });
      })
      .on(RoomEvent.TrackMuted, (publication, participant) =>
        note('muted', { source: publication.source, from: participant.identity }))
      .on(RoomEvent.TrackUnmuted, (publication, participant) =>
        note('unmuted', { source: publication.source, from: participant.identity }))
      .on(RoomEvent.ParticipantConnected, (participant) => note('joined', { from: participant.identity }))
      .on(RoomEvent.ParticipantDisconnected, (participant) => note('left', { from: participant.identity }))
      .on(RoomEvent.DataReceived, (payload, participant, kind, topic) =>
        note('data', { text: new TextDecoder().decode(payload), from: participant?.identity ?? null, topic, kind }))
      .on(RoomEvent.ChatMessage, (message, participant) =>
        note('chat', { text: message.message, from: participant?.identity ?? null }))
      .on(RoomEvent.RoomMetadataChanged, (metadata) => note('room_metadata', { metadata }))
      .on(RoomEvent.ParticipantMetadataChanged, (_, participant) =>
        note('metadata', { metadata: participant.metadata, from: participant.identity }))
      .on(RoomEvent.ParticipantAttributesChanged, (changed, participant) =>
        note('attributes', { changed, from: participant.identity }))
      .on(RoomEvent.ParticipantPermissionsChanged, (_, participant) =>
        note('permissions', { from: participant.identity, permissions: participant.permissions }))
      .on(RoomEvent.ActiveSpeakersChanged, (speakers) =>
        note('speakers', { who: speakers.map((speaker) => speaker.identity) }))
      .on(RoomEvent.ConnectionQualityChanged, (quality, participant) =>
        note('quality', { quality, from: participant.identity }))
      .on(RoomEvent.DataTrackPublished, (track) =>
        note('data_published', { track: track.info.name, sid: track.info.sid, from: track.publisherIdentity }))
      .on(RoomEvent.DataTrackUnpublished, (sid) => note('data_unpublished', { sid }))
      .on(RoomEvent.SignalReconnecting, () => note('signal_reconnecting'))
      .on(RoomEvent.Reconnecting, () => note('reconnecting'))
      .on(RoomEvent.Reconnected, () => note('reconnected'))
      .on(RoomEvent.Disconnected, (reason) => note('disconnected', { reason }));
    room.registerTextStreamHandler('test', async (reader, from) =>
      note('text_stream', { text: await reader.readAll(), from: from.identity }));
    room.registerByteStreamHandler('test', async (reader, from) => {
      const size = (await reader.readAll()).reduce((total, chunk) => total + chunk.length, 0);
      note('byte_stream', { size, file: reader.info.name, from: from.identity });
    });
    room.registerRpcMethod('echo', async ({ payload, callerIdentity }) => `${callerIdentity}: ${payload}`);
    await room.connect(url, token, connect);
    note('connected', { single: room.engine.pcManager?.mode ?? null });
    if (publish) {
      await room.localParticipant.setMicrophoneEnabled(true);
      await room.localParticipant.setCameraEnabled(true, { resolution: { width: 640, height: 360 } }, { simulcast });
    }
    return room.localParticipant.identity;
  },
  state: () => room?.state ?? 'none',
  leave: () => room.disconnect(),
  people: () =>
    [...room.remoteParticipants.values()].map((participant) => ({
      identity: participant.identity,
      name: participant.name,
      metadata: participant.metadata,
      attributes: participant.attributes,
      tracks: [...participant.trackPublications.values()].map((publication) => ({
        sid: publication.trackSid,
        source: publication.source,
        kind: publication.kind,
        muted: publication.isMuted,
        subscribed: publication.isSubscribed,
        permission: publication.permissionStatus,
        mime: publication.trackInfo?.mimeType,
        codecs: publication.trackInfo?.codecs.map((codec) => codec.mimeType),
        layers: publication.trackInfo?.layers.map((layer) => layer.height),
      })),
    })),
  tracks: () =>
    [...room.localParticipant.trackPublications.values()].map((publication) => ({
      sid: publication.trackSid,
      source: publication.source,
      muted: publication.isMuted,
    })),
  microphone: (on) => room.localParticipant.setMicrophoneEnabled(on).then(() => null),
  camera: (on) => room.localParticipant.setCameraEnabled(on).then(() => null),
  share: (on) => room.localParticipant.setScreenShareEnabled(on).then(() => null),
  chat: (text) => room.localParticipant.sendChatMessage(text).then(() => null),
  data: ({ text, reliable = true, to = [], topic }) =>
    room.localParticipant.publishData(new TextEncoder().encode(text), { reliable, destinationIdentities: to, topic }),
  text: (text) => room.localParticipant.sendText(text, { topic: 'test' }).then(() => null),
  bytes: async ({ size, name }) => {
    const writer = await room.localParticipant.streamBytes({ topic: 'test', name, totalSize: size });
    await writer.write(new Uint8Array(size));
    await writer.close();
  },
  rpc: ({ to, payload }) =>
    room.localParticipant.performRpc({ destinationIdentity: to, method: 'echo', payload, responseTimeout: 8000 }),
  // Answers with the reason when refused.
  metadata: (text) => room.localParticipant.setMetadata(text).then(() => null, (error) => ({ refused: error.message, reason: error.reason })),
  permit: ({ all, people = [] }) =>
    room.localParticipant.setTrackSubscriptionPermissions(
      all, people.map((participantIdentity) => ({ participantIdentity, allowAll: true }))),
  attributes: (attributes) => room.localParticipant.setAttributes(attributes).then(() => null),
  // `microphone` and `camera` publish anew what was unpublished.
  unpublish: (source) => {
    const { track } = room.localParticipant.getTrackPublication(source);
    return room.localParticipant.unpublishTrack(track).then(() => null);
  },
  // Any number of changes in one turn.
  subscribe: (changes) => {
    for (const { from, source, on } of [changes].flat()) {
      room.remoteParticipants.get(from).getTrackPublication(source).setSubscribed(on);
    }
  },
  // Pictures sent of the camera, all layers, and what codec they are in.
  sends: async () => {
    const stats = await room.localParticipant.getTrackPublication('camera').videoTrack.sender.getStats();
    const streams = [...stats.values()].filter((stat) => stat.type === 'outbound-rtp' && stat.framesEncoded > 0);
    return streams.map((stat) => ({ codec: stats.get(stat.codecId)?.mimeType, width: stat.frameWidth ?? 0 }));
  },
  encodes: (name) =>
    RTCRtpSender.getCapabilities('video').codecs.some((codec) => codec.mimeType.toLowerCase() === `video/${name}`),
  quality: ({ from, source, quality }) => {
    for (const publication of room.remoteParticipants.get(from).trackPublications.values()) {
      if (publication.source === source) publication.setVideoQuality(quality);
    }
  },
  simulate: (scenario) => room.simulateScenario(scenario),
  // Answers with the error's reason when refused.
  publishData: async (name) => {
    try {
      published.set(name, await room.localParticipant.publishDataTrack({ name }));
      return published.get(name).info.sid;
    } catch (error) {
      return { refused: error.reasonName ?? String(error) };
    }
  },
  unpublishData: (name) => published.get(name).unpublish(),
  // Frames `from` to before `to`, each with its number in front and filled with it; one every `pause` milliseconds.
  // Numbers start at 1: livekit-client 2.23 sends no user timestamp that is 0.
  pushData: async ({ name, from, to, size = 40, pause = 10 }) => {
    for (let number = from; number < to; number += 1) {
      const payload = new Uint8Array(size).fill(number);
      new DataView(payload.buffer).setUint32(0, number);
      // Refused while the room reconnects: lost, as any frame may be.
      await published.get(name).tryPush({ payload, userTimestamp: BigInt(number) }).catch(() => {});
      await new Promise((done) => setTimeout(done, pause));
    }
  },
  // Notes the numbers of frames as they come, and what is wrong with any.
  subscribeData: async ({ from, name }) => {
    const track = await room.remoteParticipants.get(from).dataTracks.getDeferred(name);
    const heard = { numbers: [], faults: [], ended: false };
    received.set(`${from}/${name}`, heard);
    const reader = track.subscribe({ bufferSize: 256 }).getReader();
    (async () => {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        const number = new DataView(value.payload.buffer, value.payload.byteOffset).getUint32(0);
        heard.numbers.push(number);
        if (value.userTimestamp !== BigInt(number)) heard.faults.push(`timestamp of ${number}: ${value.userTimestamp}`);
        if (value.payload.subarray(4).some((byte) => byte !== number % 256)) heard.faults.push(`content of ${number}`);
      }
      heard.ended = true;
    })().catch((error) => heard.faults.push(String(error)));
  },
  heardData: ({ from, name }) => received.get(`${from}/${name}`),
  // What no honest client sends on the channel of data tracks: no packets, other versions, tracks of nobody, a flood.
  garbageData: async () => {
    let channel;
    const send = RTCDataChannel.prototype.send;
    RTCDataChannel.prototype.send = function (data) {
      if (this.label === '_data_track') channel = this;
      send.call(this, data);
    };
    await client.pushData({ name: 'aic', from: 1, to: 2 });
    RTCDataChannel.prototype.send = send;
    const header = [0x18, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    const changed = (at, byte) => Uint8Array.from(header, (old, index) => (index === at ? byte : old));
    const hostile = [
      ...header.map((_, length) => Uint8Array.from(header.slice(0, length))),
      ...[0x38, 0xf8, 0xff, 0x1c].map((flags) => changed(0, flags)),
      changed(3, 0), changed(3, 200), changed(2, 255),
      Uint8Array.from([0x1c, ...header.slice(1), 0xff, 0xff, 1, 2, 3]),
    ];
    for (let round = 0; round < 200; round += 1) hostile.push(crypto.getRandomValues(new Uint8Array(round)));
    for (const packet of hostile) channel.send(packet);
    channel.send('text is no packet');
    const flood = new Uint8Array(60_000);
    flood.set(header);
    for (let round = 0; round < 300; round += 1) {
      while (channel.bufferedAmount > 1_000_000) await new Promise((done) => setTimeout(done, 5));
      channel.send(flood);
    }
  },
  // Loses one packet in `every` of our data tracks on its way out.
  loseData: (every) => {
    const send = RTCDataChannel.prototype.send;
    let count = 0;
    RTCDataChannel.prototype.send = function (data) {
      if (this.label === '_data_track' && (count += 1) % every === 0) return;
      send.call(this, data);
    };
  },
};
