//! Start-up faults. Handlers answer with `aura_service::ServiceError`; each boundary below them has its own enum
//! that states an `ErrorCode`.

use aura_store::StoreError;

#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error("auth.user_secret: {0}")]
    UserKeys(#[source] aura_service::auth::KeyError),
    #[error("auth.service_secret: {0}")]
    ServiceKeys(#[source] aura_service::auth::KeyError),
    #[error("auth.livekit_keys holds no key to sign join tokens with")]
    NoLivekitKey,
    #[error("the database login is not a plain one of this service")]
    PrivilegedRole(#[source] StoreError),
    #[error("public_url is no URL")]
    PublicUrl(#[from] url::ParseError),
    #[error("files.dir {dir} cannot be used")]
    FilesDir { dir: String, source: std::io::Error },
}
