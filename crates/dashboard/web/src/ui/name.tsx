import type { ComponentPropsWithoutRef, ElementType } from "react";

type NameProps<E extends ElementType> = { as?: E; children: string } & Omit<ComponentPropsWithoutRef<E>, "children">;

/**
 * What somebody called a person, a room or a file: one line, cut off where there is no room for it, in its own direction,
 * whole as a tooltip. The box around it must be allowed to be narrower than it (`min-width: 0`).
 */
export function Name<E extends ElementType = "span">({ as, children, ...rest }: NameProps<E>) {
  const Tag: ElementType = as ?? "span";
  return (
    <Tag {...rest} className={["name", rest.className].filter(Boolean).join(" ")} dir="auto" title={children}>
      {children}
    </Tag>
  );
}
