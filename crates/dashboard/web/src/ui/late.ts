import { useEffect, useState } from "react";

/** True once `value` has been true for `ms`; for states not worth mentioning when they are short. */
export function useLate(value: boolean, ms: number): boolean {
  const [late, setLate] = useState(false);
  useEffect(() => {
    if (!value) {
      setLate(false);
      return;
    }
    const timer = setTimeout(() => setLate(true), ms);
    return () => clearTimeout(timer);
  }, [value, ms]);
  return late;
}
