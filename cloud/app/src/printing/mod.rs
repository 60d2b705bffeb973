//! Printing as the administrator sees it: how documents look, and the printers behind the appliance.
//!
//! A template is kept in every version. Saving one sends it to the appliance in the same unit; the appliance checks it
//! again and says which version it uses. The preview is drawn by the code that prints.

mod printers;
mod templates;

use std::path::PathBuf;
use std::sync::Arc;

use base::Ctx;
use documents::press::FontFiles;
use utoipa_axum::router::OpenApiRouter;

pub(crate) use templates::MIGRATIONS;

/// The font previews are set in: the file and the face the press uses too.
#[derive(Clone)]
pub(crate) struct PreviewFont(pub(crate) Arc<(PathBuf, u32)>);

impl From<&FontFiles> for PreviewFont {
    fn from(files: &FontFiles) -> Self {
        Self(Arc::new((files.regular.clone(), files.face)))
    }
}

/// The routes, below `/api/v1`.
pub(crate) fn routes() -> OpenApiRouter<Ctx> {
    templates::routes().merge(printers::routes())
}
