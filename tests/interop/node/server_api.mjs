// LiveKit's own server SDK for the Rust tests: one JSON request a line on stdin, one JSON reply a line on stdout.
//
// `call` runs a method of RoomServiceClient with the arguments given; what the SDK returns or throws goes back as it
// is. `token` makes an access token, `webhook` receives one. The tests hold every expectation.
import { createInterface } from 'node:readline';
import { AccessToken, DataPacket_Kind, RoomServiceClient, TrackSource, TrackType } from 'livekit-server-sdk';

const { LIVEKIT_URL, LIVEKIT_API_KEY, LIVEKIT_API_SECRET } = process.env;
const rooms = new RoomServiceClient(LIVEKIT_URL.replace(/^ws/, 'http'), LIVEKIT_API_KEY, LIVEKIT_API_SECRET);

const methods = {
  async call({ method, args = [], secret }) {
    const client = secret
      ? new RoomServiceClient(LIVEKIT_URL.replace(/^ws/, 'http'), LIVEKIT_API_KEY, secret)
      : rooms;
    return client[method](...args);
  },
  sendData: ({ room, text, ...options }) =>
    rooms.sendData(room, new TextEncoder().encode(text), DataPacket_Kind.RELIABLE, options),
  token({ identity, name, grant, attributes, metadata, ttl = '10m' }) {
    const token = new AccessToken(LIVEKIT_API_KEY, LIVEKIT_API_SECRET, { identity, name, attributes, metadata, ttl });
    token.addGrant(grant);
    return token.toJwt();
  },
  names: () => ({ TrackSource, TrackType }),
};

const plain = (_, value) => (typeof value === 'bigint' ? Number(value) : value);
const reply = (value) => process.stdout.write(`${JSON.stringify(value, plain)}\n`);

async function handle({ id, method, params = {} }) {
  try {
    reply({ id, result: (await methods[method](params)) ?? null });
  } catch (error) {
    // Twirp errors carry status and code; anything else is a fault of the test or the SDK.
    const { status, code, message } = error;
    reply({ id, error: JSON.stringify({ status, code, message }) });
  }
}

reply({ id: 0, result: 'ready' });
for await (const line of createInterface({ input: process.stdin })) void handle(JSON.parse(line));
