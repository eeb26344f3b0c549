import "@fontsource-variable/instrument-sans/index.css";
import "./ui/base.css";
import "./ui/controls.css";
import "./ui/overlays.css";
import "./shell/shell.css";
import "./auth/auth.css";
import "./ui/theme";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./app";
import { session } from "./auth/current";
import { rememberMode } from "./meeting/mode";
import "./realtime/current";

rememberMode();
void session.start();

// A page brought back by the browser's history cache has lost its connections.
addEventListener("pageshow", (event) => event.persisted && location.reload());

const root = document.getElementById("root");
if (root) {
  createRoot(root).render(
    <StrictMode>
      <App />
    </StrictMode>,
  );
}
