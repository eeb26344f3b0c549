import { useEffect, useLayoutEffect, useRef, useState, type KeyboardEvent } from "react";
import { clockTime } from "../../i18n/time";
import { plural } from "../../i18n/translate";
import { Avatar } from "../../ui/avatar";
import { Button, IconButton } from "../../ui/button";
import { Icon } from "../../ui/icon";
import { Name } from "../../ui/name";
import { Empty } from "../../ui/notice";
import { useMeeting } from "../context";
import { SidePanel } from "../panels/side-panel";
import { t } from "../strings";
import { linkify } from "./links";
import { continues, type ChatMessage } from "./messages";
import { MAX_LENGTH, type Chat } from "./use-chat";

export function ChatPanel({ chat, onClose }: { chat: Chat; onClose(): void }) {
  const { identity, kind } = useMeeting();
  const list = useRef<HTMLDivElement>(null);
  const { atEnd, toEnd } = useStickyEnd(list, chat.messages.length);
  return (
    <SidePanel name="chat" title={t("chat")} onClose={onClose}>
      {chat.historyFailed && (
        <div className="panel-notice">
          {t("chat_history_failed")}
          <Button small onClick={chat.reloadHistory}>
            {t("try_again")}
          </Button>
        </div>
      )}
      {chat.messages.length === 0 ? (
        <div className="panel-fill">
          <Empty icon="chat" title={t("chat_empty")}>
            {kind === "room" ? t("chat_empty_text") : t("chat_empty_call")}
          </Empty>
        </div>
      ) : (
        <div className="messages" ref={list} role="log" aria-label={t("chat")} tabIndex={0}>
          <ol>
            {chat.messages.map((message, index) => (
              <Message
                key={message.order}
                message={message}
                mine={message.sender === identity}
                continued={continues(chat.messages[index - 1], message)}
                onRetry={() => chat.retry(message)}
              />
            ))}
          </ol>
        </div>
      )}
      {!atEnd && (
        <Button small className="messages-new" icon="chevron-down" onClick={toEnd}>
          {t("chat_new")}
        </Button>
      )}
      <Composer text={chat.draft} setText={chat.setDraft} onSend={chat.send} />
    </SidePanel>
  );
}

/** Stays at the newest message unless the reader has scrolled up. */
function useStickyEnd(list: React.RefObject<HTMLDivElement | null>, count: number) {
  const [atEnd, setAtEnd] = useState(true);
  const stick = useRef(true);
  const toEnd = () => {
    const element = list.current;
    if (element) element.scrollTop = element.scrollHeight;
  };
  useLayoutEffect(() => {
    if (stick.current) toEnd();
  });
  useEffect(() => {
    if (!stick.current) setAtEnd(false);
  }, [count]);
  useEffect(() => {
    const element = list.current;
    if (!element) return;
    const scrolled = () => {
      stick.current = element.scrollHeight - element.scrollTop - element.clientHeight < 60;
      if (stick.current) setAtEnd(true);
    };
    element.addEventListener("scroll", scrolled, { passive: true });
    return () => element.removeEventListener("scroll", scrolled);
  }, [list, count > 0]);
  return { atEnd, toEnd };
}

interface MessageProps {
  message: ChatMessage;
  mine: boolean;
  continued: boolean;
  onRetry(): void;
}

function Message({ message, mine, continued, onRetry }: MessageProps) {
  return (
    <li
      className={["message", mine && "message-mine", continued && "message-continued"].filter(Boolean).join(" ")}
      data-testid="chat-message"
      data-message-id={message.id}
      data-delivery={message.delivery}
    >
      {!mine && !continued && <Avatar name={message.senderName} id={message.sender} size="small" />}
      <div className="message-body">
        {!continued && (
          <p className="message-head">
            <Name as="strong">{mine ? t("you") : message.senderName}</Name>
            <time dateTime={new Date(message.at).toISOString()}>{clockTime(message.at)}</time>
          </p>
        )}
        <p className="message-text" dir="auto">
          {linkify(message.text).map((part, index) =>
            part.href ? (
              <a key={index} href={part.href} target="_blank" rel="noopener noreferrer nofollow">
                {part.text}
              </a>
            ) : (
              <span key={index}>{part.text}</span>
            ),
          )}
        </p>
        {message.delivery === "sending" && <p className="message-state">{t("chat_sending")}</p>}
        {message.delivery === "unsaved" && <p className="message-state">{t("chat_unsaved")}</p>}
        {message.delivery === "failed" && (
          <p className="message-state message-failed" role="alert">
            <Icon name="warning" size={14} />
            {t("chat_failed")}
            <button type="button" className="link" onClick={onRetry}>
              {t("chat_retry")}
            </button>
          </p>
        )}
      </div>
    </li>
  );
}

function Composer({ text, setText, onSend }: { text: string; setText(text: string): void; onSend(text: string): void }) {
  const excess = [...text.trim()].length - MAX_LENGTH;
  const input = useRef<HTMLTextAreaElement>(null);
  useEffect(() => input.current?.focus(), []);
  useLayoutEffect(() => {
    const element = input.current;
    if (!element) return;
    element.style.height = "auto";
    element.style.height = `${Math.min(element.scrollHeight, 140)}px`;
  }, [text]);

  const send = () => {
    const trimmed = text.trim();
    if (!trimmed || excess > 0) return;
    onSend(trimmed);
    setText("");
    input.current?.focus();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing) return;
    event.preventDefault();
    send();
  };
  return (
    <form
      className="composer"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <textarea
        ref={input}
        rows={1}
        value={text}
        aria-invalid={excess > 0}
        aria-label={t("chat_input")}
        placeholder={t("chat_placeholder")}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={onKeyDown}
        data-testid="chat-input"
      />
      {excess > 0 && (
        <p className="composer-excess" role="status" data-testid="chat-excess">
          {plural(excess, { one: t("chat_too_long_one"), other: t("chat_too_long_other", { count: excess }) })}
        </p>
      )}
      <IconButton icon="send" label={t("chat_send")} type="submit" disabled={!text.trim() || excess > 0} className="composer-send" data-testid="chat-send" />
    </form>
  );
}
