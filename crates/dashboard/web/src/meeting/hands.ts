// Raised hands: a participant attribute holding the moment it went up, so that every client sees
// the same queue, also clients that join later.

export const HAND_ATTRIBUTE = "aura.hand";

interface Someone {
  identity: string;
  name?: string | undefined;
  attributes: Readonly<Record<string, string>>;
}

export function raisedAt(attributes: Readonly<Record<string, string>>): number | null {
  const text = attributes[HAND_ATTRIBUTE];
  if (!text) return null;
  const at = Number(text);
  return Number.isFinite(at) && at > 0 ? at : null;
}

/** Who has a hand up, first come first. */
export function handQueue<P extends Someone>(people: readonly P[]): P[] {
  return people
    .map((person) => ({ person, at: raisedAt(person.attributes) }))
    .filter((entry): entry is { person: P; at: number } => entry.at !== null)
    .sort((a, b) => a.at - b.at || a.person.identity.localeCompare(b.person.identity))
    .map(({ person }) => person);
}
