import { useId, useState, type InputHTMLAttributes, type ReactNode } from "react";
import { Icon } from "./icon";
import { t } from "./strings";

interface FieldProps extends InputHTMLAttributes<HTMLInputElement> {
  label: string;
  hint?: ReactNode;
  error?: string | undefined;
}

/** A labelled input; a hint or an error is tied to it for screen readers. */
export function Field({ label, hint, error, type = "text", ...rest }: FieldProps) {
  const id = useId();
  const [shown, setShown] = useState(false);
  const note = error ?? hint;
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <div className="field-input">
        <input
          id={id}
          type={type === "password" && shown ? "text" : type}
          aria-invalid={error ? true : undefined}
          aria-describedby={note ? `${id}-note` : undefined}
          {...rest}
        />
        {type === "password" && (
          <button
            type="button"
            className="field-reveal"
            aria-pressed={shown}
            aria-label={shown ? t("hide_password") : t("show_password")}
            onClick={() => setShown(!shown)}
          >
            {shown ? t("hide_password").split(" ")[0] : t("show_password").split(" ")[0]}
          </button>
        )}
      </div>
      {note && (
        <p id={`${id}-note`} className={error ? "field-error" : "field-hint"}>
          {error && <Icon name="warning" size={15} />}
          {note}
        </p>
      )}
    </div>
  );
}

interface SelectProps {
  label: string;
  value: string;
  options: { value: string; label: string }[];
  onChange(value: string): void;
  disabled?: boolean;
  "data-testid"?: string;
}

export function Select({ label, value, options, onChange, disabled, ...rest }: SelectProps) {
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <div className="field-select">
        <select id={id} value={value} disabled={disabled} onChange={(event) => onChange(event.target.value)} {...rest}>
          {options.map((option) => (
            <option key={option.value} value={option.value}>
              {option.label}
            </option>
          ))}
        </select>
        <Icon name="chevron-down" size={16} />
      </div>
    </div>
  );
}

interface SwitchProps {
  label: string;
  hint?: string;
  checked: boolean;
  onChange(on: boolean): void;
  "data-testid"?: string;
}

export function Switch({ label, hint, checked, onChange, ...rest }: SwitchProps) {
  const id = useId();
  return (
    <div className="switch-row">
      <div>
        <label htmlFor={id}>{label}</label>
        {hint && <p className="field-hint" id={`${id}-hint`}>{hint}</p>}
      </div>
      <input
        id={id}
        type="checkbox"
        role="switch"
        className="switch"
        checked={checked}
        aria-describedby={hint ? `${id}-hint` : undefined}
        onChange={(event) => onChange(event.target.checked)}
        {...rest}
      />
    </div>
  );
}
