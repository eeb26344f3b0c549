// Runs before every page's own scripts: remembers the peer connections a page makes, and measures what flows.
//
// `aura.media()` says what is received and over what; `aura.watch()`/`aura.gap()` find the longest time in which no
// new media arrived. Asserting on these, not on pixels, is what makes the tests independent of who wrote the page.
(() => {
  if (globalThis.aura || !globalThis.RTCPeerConnection) return;
  const connections = [];
  globalThis.RTCPeerConnection = class extends globalThis.RTCPeerConnection {
    constructor(...args) {
      super(...args);
      connections.push(this);
    }
  };

  const open = () => connections.filter((connection) => connection.connectionState !== 'closed');

  async function media() {
    const summary = { connections: 0, audio: [], video: [], sending: [], paths: [] };
    for (const connection of open()) {
      summary.connections += 1;
      const stats = await connection.getStats();
      for (const stat of stats.values()) {
        if (stat.type === 'inbound-rtp') {
          summary[stat.kind]?.push({
            ssrc: stat.ssrc,
            track: stat.trackIdentifier,
            packets: stat.packetsReceived ?? 0,
            frames: stat.framesDecoded ?? 0,
            width: stat.frameWidth ?? 0,
            height: stat.frameHeight ?? 0,
            energy: stat.totalAudioEnergy ?? 0,
            codec: stats.get(stat.codecId)?.mimeType ?? null,
          });
        } else if (stat.type === 'outbound-rtp') {
          summary.sending.push({ kind: stat.kind, rid: stat.rid ?? null, packets: stat.packetsSent ?? 0, bytes: stat.bytesSent ?? 0 });
        } else if (stat.type === 'transport' && stat.selectedCandidatePairId) {
          const pair = stats.get(stat.selectedCandidatePairId);
          const local = stats.get(pair?.localCandidateId);
          const remote = stats.get(pair?.remoteCandidateId);
          summary.paths.push({
            protocol: remote?.protocol ?? local?.protocol,
            state: pair?.state,
            dtls: stat.dtlsState,
          });
        }
      }
    }
    return summary;
  }

  // Received media in one growing figure per kind, over all connections so far.
  async function progress() {
    const { audio, video } = await media();
    const sum = (list, field) => list.reduce((total, entry) => total + entry[field], 0);
    return { audio: sum(audio, 'packets'), video: sum(video, 'frames') };
  }

  const watched = { running: false, gap: { audio: 0, video: 0 } };
  async function watch() {
    watched.running = true;
    watched.gap = { audio: 0, video: 0 };
    let last = await progress();
    const since = { audio: performance.now(), video: performance.now() };
    while (watched.running) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      const now = await progress();
      for (const kind of ['audio', 'video']) {
        // A renegotiated connection begins at zero again: a change is growth.
        if (now[kind] !== last[kind]) since[kind] = performance.now();
        watched.gap[kind] = Math.max(watched.gap[kind], performance.now() - since[kind]);
      }
      last = now;
    }
  }

  globalThis.aura = {
    media,
    watch: () => void watch(),
    // Longest silence so far in milliseconds; ends the watch.
    gap: () => {
      watched.running = false;
      return watched.gap;
    },
  };
})();
