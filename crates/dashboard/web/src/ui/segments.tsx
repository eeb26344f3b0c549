import { useId } from "react";

interface SegmentsProps<T extends string> {
  /** What is chosen, for screen readers. */
  label: string;
  value: T;
  options: { value: NoInfer<T>; label: string }[];
  onChange(value: NoInfer<T>): void;
  "data-testid"?: string;
}

/** One of a few, side by side; each option is a radio button underneath. */
export function Segments<T extends string>({ label, value, options, onChange, ...rest }: SegmentsProps<T>) {
  const group = useId();
  return (
    <fieldset className="segments" {...rest}>
      <legend className="visually-hidden">{label}</legend>
      {options.map((option) => (
        <label key={option.value}>
          <input
            type="radio"
            name={group}
            value={option.value}
            checked={option.value === value}
            onChange={() => onChange(option.value)}
          />
          {option.label}
        </label>
      ))}
    </fieldset>
  );
}
