import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// Only for `npm run dev` and `npm run preview`; the built app is served by the dashboard itself.
const backend = process.env["AURA_DASHBOARD_URL"] ?? "http://127.0.0.1:8080";
const proxy = {
  "/api": { target: backend },
  "/ws": { target: backend, ws: true },
};

export default defineConfig({
  plugins: [react()],
  build: {
    // The content policy allows no data: fonts or scripts, so nothing is inlined.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 900,
  },
  server: { proxy },
  preview: { proxy },
});
