import { Dialog } from "../../ui/dialog";
import { Notice } from "../../ui/notice";
import { t } from "../strings";
import { shortcutsEnabled } from "./shortcuts";

export function ShortcutHelp({ onClose }: { onClose(): void }) {
  const keys: [string, string][] = [
    ["M", t("key_mic")],
    [t("key_space"), t("key_talk")],
    ["V", t("key_cam")],
    ["S", t("key_share")],
    ["H", t("key_hand")],
    ["C", t("key_chat")],
    ["P", t("key_people")],
    ["F", t("key_files")],
    ["G", t("key_layout")],
    ["E", t("key_full")],
    ["?", t("key_help")],
  ];
  return (
    <Dialog title={t("keys_title")} onClose={onClose}>
      {!shortcutsEnabled() && <Notice kind="info">{t("keys_off")}</Notice>}
      <dl className="keys">
        {keys.map(([key, text]) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{text}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
