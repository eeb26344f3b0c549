//! Query parameters every paged list takes.

use crate::engine::page::Window;
use crate::engine::text::Invalid;
use serde::Deserialize;
use utoipa::IntoParams;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// 1 to 100; 50 when absent.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<i64>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

impl ListQuery {
    pub(super) fn window(&self) -> Result<Window, Invalid> {
        Window::parse(self.limit, self.cursor.as_deref())
    }
}
