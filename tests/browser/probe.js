// Runs before every page's own scripts, called with tests/faces.json: measures what a person at this page gets.
//
// Seen is what a <video> element of the page presents and what differs from the picture before; heard is what an
// element plays, or a page sends to the speakers itself. Both are told apart by whose colour or tone it is, whatever
// the page believes. Packets and decoded frames count for nothing: they flow also where nothing is shown.
(faces) => {
  if (globalThis.aura || !globalThis.RTCPeerConnection) return;
  const count = faces.tones_hz.length;
  const connections = [];
  globalThis.RTCPeerConnection = class extends globalThis.RTCPeerConnection {
    constructor(...args) {
      super(...args);
      connections.push(this);
    }
  };

  // Transport and devices: over what it comes, what is sent, whether the camera delivers.
  async function media() {
    const summary = { connections: 0, audio: [], video: [], sending: [], capturing: [], paths: [] };
    for (const connection of connections) {
      if (connection.connectionState === 'closed') continue;
      summary.connections += 1;
      const stats = await connection.getStats();
      for (const stat of stats.values()) {
        if (stat.type === 'inbound-rtp') {
          summary[stat.kind]?.push({
            mid: stat.mid,
            ssrc: stat.ssrc,
            track: stat.trackIdentifier,
            packets: stat.packetsReceived ?? 0,
            frames: stat.framesDecoded ?? 0,
            width: stat.frameWidth ?? 0,
            codec: stats.get(stat.codecId)?.mimeType ?? null,
          });
        } else if (stat.type === 'outbound-rtp') {
          const { kind, rid = null, packetsSent: packets = 0, bytesSent: bytes = 0 } = stat;
          summary.sending.push({ kind, rid, packets, bytes });
        } else if (stat.type === 'media-source') {
          summary.capturing.push({ kind: stat.kind, frames: stat.frames, energy: stat.totalAudioEnergy });
        } else if (stat.type === 'transport' && stat.selectedCandidatePairId) {
          const pair = stats.get(stat.selectedCandidatePairId);
          const local = stats.get(pair?.localCandidateId);
          const remote = stats.get(pair?.remoteCandidateId);
          summary.paths.push({ protocol: remote?.protocol ?? local?.protocol, state: pair?.state, dtls: stat.dtlsState });
        }
      }
    }
    return summary;
  }

  // One entry for every pair of element and track, and for every node that plays to the speakers.
  const live = new Map();
  let nextId = 1;
  let watched = null;

  // `whose`: the number of a face, `black`, or `other` for a picture or sound that is nobody's.
  function got(entry, whose) {
    entry.got[whose] = (entry.got[whose] ?? 0) + 1;
    const mark = watched?.[entry.kind][whose];
    if (!mark) return;
    const now = performance.now();
    mark.gap = Math.max(mark.gap, now - mark.at);
    mark.at = now;
  }

  // What the page itself says of an element: whose it is, and of what.
  function labels(element, track) {
    const { owner, source } = element.dataset;
    if (owner) return { owner, source };
    const tile = element.closest('[data-testid="participant-tile"]');
    if (tile) return { owner: tile.getAttribute('aria-label'), source: tile.dataset.source };
    for (const person of globalThis.__aura?.room?.remoteParticipants.values() ?? []) {
      for (const publication of person.trackPublications.values()) {
        if (publication.track?.mediaStreamTrack.id === track.id) return { owner: person.name, source: publication.source };
      }
    }
    return { owner: null, source: null };
  }

  const [WIDTH, HEIGHT] = [32, 18];
  const easel = new OffscreenCanvas(WIDTH, HEIGHT).getContext('2d', { willReadFrequently: true });

  function lookAt(entry, element) {
    const box = element.getBoundingClientRect();
    entry.width = element.videoWidth;
    entry.height = element.videoHeight;
    if (box.width < 1 || box.height < 1 || !entry.width || !element.checkVisibility()) return;
    easel.drawImage(element, 0, 0, WIDTH, HEIGHT);
    const { data } = easel.getImageData(0, 0, WIDTH, HEIGHT);
    let [red, green, blue, hash] = [0, 0, 0, 0];
    for (let at = 0; at < data.length; at += 4) {
      red += data[at];
      green += data[at + 1];
      blue += data[at + 2];
      hash = (Math.imul(hash, 31) + data[at] + (data[at + 1] << 8) + (data[at + 2] << 16)) | 0;
    }
    if (hash === entry.hash) return;
    entry.hash = hash;
    const pixels = WIDTH * HEIGHT;
    const luma = (0.299 * red + 0.587 * green + 0.114 * blue) / pixels;
    const [u, v] = [(blue / pixels - luma) / 1.772, (red / pixels - luma) / 1.402];
    entry.colour = [luma, u, v].map(Math.round);
    const turn = (Math.atan2(v, u) / (2 * Math.PI) + 1) * count;
    const clear = Math.abs(turn - Math.round(turn)) < 0.35 && Math.hypot(u, v) > faces.chroma / 2;
    got(entry, clear ? Math.round(turn) % count : luma < 24 ? 'black' : 'other');
  }

  // All that is heard passes through here; nothing leaves it.
  let ear;
  function listenTo(entry, node) {
    const analyser = new AnalyserNode(node.context, { fftSize: 2048, smoothingTimeConstant: 0 });
    entry.samples = new Float32Array(analyser.fftSize);
    entry.bins = new Float32Array(analyser.frequencyBinCount);
    entry.analyser = analyser;
    return analyser;
  }

  function hear(entry) {
    const { analyser, samples, bins } = entry;
    // A context that stands still hands out its last sound for ever.
    const { currentTime, state } = analyser.context;
    if (state !== 'running' || currentTime === entry.clock) return;
    entry.clock = currentTime;
    analyser.getFloatTimeDomainData(samples);
    const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
    entry.level_db = Math.round(10 * Math.log10(power + 1e-12));
    if (entry.level_db < -50) return;
    analyser.getFloatFrequencyData(bins);
    const width = analyser.context.sampleRate / analyser.fftSize;
    const peak = bins.reduce((best, level, bin) => (level > bins[best] ? bin : best), 0);
    // A tone is one peak and little else; a voice has many.
    const near = (bin) => Math.abs(bin - peak) <= 4;
    const rest = bins.reduce((sum, level, bin) => (near(bin) ? sum : sum + 10 ** (level / 10)), 0);
    const own = bins.reduce((sum, level, bin) => (near(bin) ? sum + 10 ** (level / 10) : sum), 0);
    entry.peak_hz = Math.round(peak * width);
    const whose = faces.tones_hz.findIndex((hz) => Math.abs(hz - peak * width) < 1.2 * width);
    got(entry, whose >= 0 && own > 4 * rest ? whose : 'other');
  }

  function entryOf(element, track) {
    const old = live.get(element);
    if (old?.track === track.id) return old;
    old?.node?.disconnect();
    const entry = { id: nextId++, kind: track.kind, track: track.id, got: {}, ...labels(element, track) };
    live.set(element, entry);
    if (track.kind === 'video') {
      const present = () => {
        if (live.get(element) !== entry) return;
        lookAt(entry, element);
        element.requestVideoFrameCallback(present);
      };
      element.requestVideoFrameCallback(present);
    } else {
      ear ??= new AudioContext();
      entry.node = new MediaStreamAudioSourceNode(ear, { mediaStream: new MediaStream([track]) });
      entry.node.connect(listenTo(entry, entry.node));
    }
    return entry;
  }

  function scan() {
    const present = new Set(document.querySelectorAll('video, audio'));
    for (const [element, entry] of live) {
      if (!(element instanceof HTMLMediaElement)) hear(entry);
      else if (!present.has(element) || !element.srcObject) {
        entry.node?.disconnect();
        live.delete(element);
      }
    }
    for (const element of present) {
      const [track] = element.srcObject?.getTracks().filter(({ kind }) => kind === element.localName) ?? [];
      if (!track) continue;
      const entry = entryOf(element, track);
      Object.assign(entry, labels(element, track));
      if (entry.kind === 'video') continue;
      // An element that stands still, or is turned down, plays nothing.
      const moved = element.currentTime !== entry.time;
      entry.time = element.currentTime;
      entry.audible = !element.paused && !element.muted && element.volume > 0 && moved;
      if (entry.audible) hear(entry);
    }
  }
  setInterval(scan, 50);

  const connect = AudioNode.prototype.connect;
  AudioNode.prototype.connect = function (to, ...rest) {
    if (to instanceof AudioDestinationNode) {
      const entry = { id: nextId++, kind: 'audio', track: null, owner: null, source: 'speakers', got: {} };
      connect.call(this, listenTo(entry, this));
      live.set(this, entry);
    }
    return connect.call(this, to, ...rest);
  };

  globalThis.aura = {
    media,
    presented: () =>
      [...live.values()].map(({ id, kind, track, owner, source, got, width, height, colour, level_db, peak_hz, audible }) => ({
        id, kind, track, owner, source, got, width, height, colour, level_db, peak_hz, audible,
      })),
    // Starts to measure how long nothing new is seen and heard of each of these faces.
    watch: (whose) => {
      const marks = () => Object.fromEntries(whose.map((face) => [face, { at: performance.now(), gap: 0 }]));
      watched = { audio: marks(), video: marks() };
    },
    // The longest time so far in milliseconds, of any of them; ends the watch.
    gap: () => {
      const longest = (marks) => Math.max(...Object.values(marks).map(({ at, gap }) => Math.max(gap, performance.now() - at)));
      const gaps = { audio: longest(watched.audio), video: longest(watched.video) };
      watched = null;
      return gaps;
    },
  };
}
