//! The models that a server had when it was asked last.
//!
//! They depend on the settings (the server, the key, what is declared) and not on
//! the plugin that asks: a swap of it keeps them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::generation::Generation;
use crate::bindings::types::Catalog;
use crate::error::Result;
use crate::provider::ProviderOptions;

/// The models there are.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Models {
    /// The catalog, as [`Provider::list_models`](crate::Provider::list_models) gave it.
    pub catalog: Arc<Catalog>,
    /// When the server was asked for it.
    pub asked: Instant,
}

impl Models {
    /// How long ago the server was asked.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.asked.elapsed()
    }
}

/// What is kept for a slot.
#[derive(Default)]
pub(super) struct Cached {
    kept: Mutex<Option<(Arc<ProviderOptions>, Models)>>,
}

impl Cached {
    /// What is kept for the settings of a generation and young enough, or what the server says now.
    pub(super) async fn get(&self, generation: &Generation, most: Duration) -> Result<Models> {
        let options = &generation.setup.options;
        let kept = self.lock().clone();
        if let Some((of, models)) = kept
            && Arc::ptr_eq(&of, options)
            && models.age() < most
        {
            return Ok(models);
        }
        let asked = Instant::now();
        let models = Models {
            catalog: Arc::new(generation.provider.list_models().await?),
            asked,
        };
        *self.lock() = Some((options.clone(), models.clone()));
        Ok(models)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<(Arc<ProviderOptions>, Models)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
