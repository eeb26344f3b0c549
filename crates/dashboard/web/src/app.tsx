// Which page for which address, and who may see it.
import { lazy, Suspense, useEffect, useRef, type ReactNode } from "react";
import { useSession } from "./auth/current";
import { LoginPage } from "./auth/login-page";
import { RegisterPage } from "./auth/register-page";
import { t as authText } from "./auth/strings";
import { RingOverlay } from "./call/ring-overlay";
import { FilesPage } from "./files/files-page";
import { HomePage } from "./home/home-page";
import { navigate, useRoute } from "./router/router";
import { paths, type Route } from "./router/routes";
import { SettingsPage } from "./settings/settings-page";
import { SharePage } from "./share/share-page";
import { CrashGuard, MessagePage, NotFoundPage } from "./shell/message-page";
import { Spinner } from "./ui/notice";
import { Toasts, useToastScreen } from "./ui/toast";

// Pages few people open come in their own chunk.
const AudioPage = lazy(() => import("./aic-console/audio-page").then((module) => ({ default: module.AudioPage })));
const ListenPage = lazy(() => import("./aic-console/listen/listen-page").then((module) => ({ default: module.ListenPage })));

// So does everything that needs the media library.
const RoomPage = lazy(() => import("./meeting/room-page").then((module) => ({ default: module.RoomPage })));
const JoinPage = lazy(() => import("./meeting/join-page").then((module) => ({ default: module.JoinPage })));
const CallPage = lazy(() => import("./call/call-page").then((module) => ({ default: module.CallPage })));

export function App() {
  const session = useSession();
  const route = useRoute();
  useFocusOnArrival(route);
  useToastScreen(route);
  return (
    <CrashGuard>
      <Suspense fallback={<PageSpinner />}>
        {session.phase === "starting" && <PageSpinner />}
        {session.phase === "unreachable" && (
          <MessagePage icon="warning" title={authText("server_away_title")} text={authText("server_away")}>
            <span className="spinner" />
          </MessagePage>
        )}
        {(session.phase === "signed-in" || session.phase === "signed-out") && <Page route={route} />}
      </Suspense>
      {session.phase === "signed-in" && <RingOverlay />}
      <Toasts />
    </CrashGuard>
  );
}

/** After following a link the focus starts at the new page, not at the end of the old one. */
function useFocusOnArrival(route: Route) {
  const first = useRef(true);
  useEffect(() => {
    if (first.current) {
      first.current = false;
      return;
    }
    // Pages arrive in chunks of their own: the new one may take a moment to be there.
    let tries = 0;
    const timer = setInterval(() => {
      const content = document.getElementById("content");
      const taken = document.activeElement !== document.body;
      if (content && !taken) {
        content.tabIndex = -1;
        content.focus({ preventScroll: true });
      }
      if (content || taken || ++tries > 30) clearInterval(timer);
    }, 60);
    return () => clearInterval(timer);
  }, [route]);
}

function Page({ route }: { route: Route }) {
  switch (route.name) {
    case "login":
    case "register":
      return <SignedOutOnly route={route} />;
    case "home":
      return (
        <SignedIn>
          <HomePage />
        </SignedIn>
      );
    case "files":
      return (
        <SignedIn>
          <FilesPage />
        </SignedIn>
      );
    case "audio":
      return (
        <SignedIn>
          <AudioPage />
        </SignedIn>
      );
    case "listen":
      return (
        <SignedIn>
          <ListenPage />
        </SignedIn>
      );
    case "settings":
      return (
        <SignedIn>
          <SettingsPage />
        </SignedIn>
      );
    case "room":
      return (
        <SignedIn>
          <RoomPage key={route.id} id={route.id} />
        </SignedIn>
      );
    case "call":
      return (
        <SignedIn>
          <CallPage key={route.id} id={route.id} />
        </SignedIn>
      );
    case "join":
      return <JoinPage key={route.token} inviteToken={route.token} />;
    case "share":
      return <SharePage key={route.token} token={route.token} />;
    case "not-found":
      return <NotFoundPage />;
  }
}

/** Sends visitors to the login page and back here afterwards. */
function SignedIn({ children }: { children: ReactNode }) {
  const signedIn = useSession().phase === "signed-in";
  useEffect(() => {
    if (!signedIn) navigate(paths.login(location.pathname + location.search), { replace: true });
  }, [signedIn]);
  return signedIn ? children : <PageSpinner />;
}

function SignedOutOnly({ route }: { route: Extract<Route, { name: "login" | "register" }> }) {
  const signedIn = useSession().phase === "signed-in";
  useEffect(() => {
    if (signedIn) navigate(route.next ?? paths.home, { replace: true });
  }, [signedIn, route.next]);
  if (signedIn) return <PageSpinner />;
  return route.name === "login" ? <LoginPage next={route.next} /> : <RegisterPage next={route.next} />;
}

function PageSpinner() {
  return (
    <div className="page-spinner">
      <Spinner />
    </div>
  );
}
