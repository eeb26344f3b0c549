//! Two ready accounts, made through the public API as a person would make them, so that one can call the other.

use anyhow::{Context, bail};
use reqwest::{Client, StatusCode};
use serde_json::json;

pub(crate) const ACCOUNTS: [(&str, &str); 2] =
    [("alice@example.com", "Alice Demo"), ("bob@example.com", "Bob Demo")];

/// Whether the accounts answer to the password this stack generated.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Demo {
    Ready,
    /// They exist with another password: the database is older than the secrets.
    PasswordUnknown,
}

pub(crate) async fn ensure(dashboard: &str, password: &str) -> anyhow::Result<Demo> {
    let client = Client::new();
    for (email, name) in ACCOUNTS {
        let body = json!({ "email": email, "password": password, "display_name": name });
        let url = format!("{dashboard}/api/v1/auth/register");
        let reply = client.post(url).json(&body).send().await.context("the dashboard does not answer")?;
        match reply.status() {
            StatusCode::CREATED => {}
            StatusCode::CONFLICT => {
                if !logs_in(&client, dashboard, email, password).await? {
                    return Ok(Demo::PasswordUnknown);
                }
            }
            status => bail!("cannot register {email}: {status}: {}", reply.text().await.unwrap_or_default()),
        }
    }
    Ok(Demo::Ready)
}

async fn logs_in(client: &Client, dashboard: &str, email: &str, password: &str) -> anyhow::Result<bool> {
    let body = json!({ "email": email, "password": password });
    let reply = client.post(format!("{dashboard}/api/v1/auth/login")).json(&body).send().await?;
    match reply.status() {
        status if status.is_success() => Ok(true),
        StatusCode::UNAUTHORIZED => Ok(false),
        status => bail!("cannot log {email} in: {status}: {}", reply.text().await.unwrap_or_default()),
    }
}
