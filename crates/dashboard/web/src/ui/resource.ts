// Loading something once, again on demand, and keeping the old value while a reload runs.
import { useCallback, useEffect, useRef, useState } from "react";

export interface Resource<T> {
  value: T | null;
  error: unknown;
  loading: boolean;
  reload(): void;
  set(change: (value: T) => T): void;
}

export function useResource<T>(load: () => Promise<T>, key: string): Resource<T> {
  const [state, setState] = useState<{ value: T | null; error: unknown; loading: boolean }>({
    value: null,
    error: null,
    loading: true,
  });
  const latest = useRef(load);
  const turn = useRef(0);
  useEffect(() => {
    latest.current = load;
  });

  const reload = useCallback(() => {
    const mine = ++turn.current;
    setState((old) => ({ ...old, loading: true }));
    latest.current().then(
      (value) => mine === turn.current && setState({ value, error: null, loading: false }),
      (error: unknown) => mine === turn.current && setState((old) => ({ ...old, error, loading: false })),
    );
  }, []);

  useEffect(() => {
    setState({ value: null, error: null, loading: true });
    reload();
    return () => {
      turn.current += 1;
    };
  }, [key, reload]);

  const set = useCallback((change: (value: T) => T) => {
    setState((old) => (old.value === null ? old : { ...old, value: change(old.value) }));
  }, []);

  return { ...state, reload, set };
}

/** A form's request: at most one at a time, with its error. */
export function useAction<A extends unknown[]>(work: (...args: A) => Promise<void>) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const running = useRef(false);
  const run = async (...args: A) => {
    if (running.current) return;
    running.current = true;
    setBusy(true);
    setError(null);
    try {
      await work(...args);
    } catch (failure) {
      setError(failure);
    } finally {
      running.current = false;
      setBusy(false);
    }
  };
  return { run, busy, error, clear: () => setError(null) };
}
