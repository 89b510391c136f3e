//! What a server refuses, and how it is told apart.

use std::sync::Arc;

use anyhow::{Result, ensure};
use provider_host::ErrorKind;

use crate::answer;
use crate::live::Live;

/// Not a key of any profile.
const WRONG: &str = "no-such-key-4711";

pub(crate) async fn a_wrong_key_is_refused(live: Arc<Live>) -> Result<()> {
    let provider = live.provider_with_key(Some(WRONG))?;
    let request = live.request("Say hello.");
    let (error, _) = answer::failure(&provider, &live.model, &request).await?;
    let listed = provider.list_models().await.err();
    for error in [Some(error), listed] {
        let Some(error) = error else {
            anyhow::bail!("the models were listed with a wrong key");
        };
        ensure!(error.kind() == &ErrorKind::Authentication, "{error:?}");
        ensure!(
            error.status() == Some(401) && !error.retryable(),
            "{error:?}"
        );
        ensure!(
            !error.message().contains(WRONG),
            "the key is told: {error:?}"
        );
    }
    Ok(())
}

pub(crate) async fn a_missing_key_is_refused(live: Arc<Live>) -> Result<()> {
    let provider = live.provider_with_key(None)?;
    let request = live.request("Say hello.");
    let (error, _) = answer::failure(&provider, &live.model, &request).await?;
    ensure!(error.kind() == &ErrorKind::Authentication, "{error:?}");
    Ok(())
}

pub(crate) async fn an_unneeded_key_does_no_harm(live: Arc<Live>) -> Result<()> {
    let provider = live.provider_with_key(Some(WRONG))?;
    let request = live.request("Say hello.");
    let answer = answer::whole(&provider, &live.model, &request).await?;
    answer.is_text("Hello! How can I help you today?")
}

pub(crate) async fn an_unknown_model_is_not_found(live: Arc<Live>) -> Result<()> {
    let mut model = live.model.clone();
    model.id = "no-such-model".into();
    let request = live.request("Say hello.");
    let (error, _) = answer::failure(&live.provider, &model, &request).await?;
    ensure!(error.kind() == &ErrorKind::ModelNotFound, "{error:?}");
    ensure!(
        error.status() == Some(404) && !error.retryable(),
        "{error:?}"
    );
    ensure!(error.message().contains("no-such-model"), "{error:?}");
    Ok(())
}

pub(crate) async fn an_unknown_model_is_explained_with_the_nearest_name(
    live: Arc<Live>,
) -> Result<()> {
    let Err(error) = live.provider.resolve_model("tinny").await else {
        anyhow::bail!("there is a model called tinny");
    };
    ensure!(error.kind() == &ErrorKind::ModelNotFound, "{error:?}");
    ensure!(error.message().contains("tiny"), "{error:?}");
    Ok(())
}

pub(crate) async fn a_value_out_of_range_is_refused(live: Arc<Live>) -> Result<()> {
    let mut request = live.request("Say hello.");
    request.sampling.top_p = Some(2.0);
    let (error, _) = answer::failure(&live.provider, &live.model, &request).await?;
    ensure!(error.kind() == &ErrorKind::InvalidRequest, "{error:?}");
    ensure!(
        error.status() == Some(400) && !error.retryable(),
        "{error:?}"
    );
    ensure!(error.message().contains("top_p"), "{error:?}");
    Ok(())
}
