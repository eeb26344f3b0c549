// The microphone on its way to the codec: the same processed track that Opus gets, so echo cancellation, noise
// suppression and mute are the browser's own.
import type { Host } from "./host";

export class Microphone {
  private source: MediaStreamAudioSourceNode | null = null;
  private node: AudioWorkletNode | null = null;
  private track: MediaStreamTrack | null = null;
  private generation = -1;

  /** Follows `track`, or nothing. False where the browser does not let audio at this rate in. */
  follow(host: Host, track: MediaStreamTrack | null): boolean {
    if (this.generation !== host.generation) this.close();
    this.generation = host.generation;
    if (track === this.track) return true;
    this.source?.disconnect();
    this.source = null;
    this.track = track;
    const { context } = host;
    if (!track || !context) return true;
    this.node ??= this.open(host, context);
    try {
      this.source = context.createMediaStreamSource(new MediaStream([track]));
    } catch {
      this.track = null;
      return false;
    }
    this.source.connect(this.node);
    return true;
  }

  close(): void {
    this.source?.disconnect();
    this.node?.port.postMessage(null);
    this.node?.disconnect();
    this.source = this.node = this.track = null;
  }

  private open(host: Host, context: AudioContext): AudioWorkletNode {
    const node = new AudioWorkletNode(context, "aic-capture", { numberOfInputs: 1, outputChannelCount: [1] });
    const { port1, port2 } = new MessageChannel();
    node.port.postMessage(port1, [port1]);
    host.post({ type: "capture", port: port2 }, [port2]);
    // Its output is silence: only what leads to the destination is run.
    node.connect(context.destination);
    return node;
  }
}
