//! Accounts, rooms, calls, files, gateway and the web app.
