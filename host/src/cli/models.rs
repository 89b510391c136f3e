//! `models list`: what the provider can run.

use std::io::Write as _;

use provider_host::types;

use super::arguments::{Arguments, ModelsCommand};
use super::failure::{Failure, Status};
use super::opened::{self, with_path};
use super::table::{Align, Table};
use super::{amount, json, terminal};

/// Runs the command.
pub(super) async fn run(arguments: &Arguments, command: &ModelsCommand) -> anyhow::Result<Status> {
    let ModelsCommand::List { provider, json, .. } = command;
    let opened = opened::open(arguments, &super::carrier::Carrier::Network).await?;
    let id = &opened.plugin.manifest().id;
    if let Some(asked) = provider
        && asked.trim().to_lowercase() != *id
    {
        return Err(Failure::usage(format!(
            "--provider is {asked:?}; this plugin is the provider {id:?}"
        ))
        .hint(format!(
            "leave --provider out or write {id}; --plugin FILE.wasm loads another provider"
        ))
        .into());
    }
    let catalog = opened.provider.list_models().await?;
    if *json {
        write_json(id, &catalog.models)?;
    } else if catalog.models.is_empty() {
        writeln!(anstream::stdout(), "no models")?;
    } else {
        table(id, &catalog.models).write(&mut anstream::stdout())?;
    }
    for note in &catalog.notes {
        terminal::note(&with_path(note.path.as_deref(), &note.message));
    }
    Ok(Status::Done)
}

fn write_json(provider: &str, models: &[types::Model]) -> anyhow::Result<()> {
    let models = json::Models {
        models: models
            .iter()
            .map(|model| json::Model::of(provider, model))
            .collect(),
    };
    let mut out = std::io::stdout().lock();
    Ok(json::write_line(&mut out, &models)?)
}

/// The models as a table. Columns that would say the same everywhere, names
/// that are ids and prices of nothing, are left out.
pub(super) fn table(provider: &str, models: &[types::Model]) -> Table {
    let named = models.iter().any(|model| model.name != model.id);
    let priced = models.iter().any(|model| prices(&model.cost).is_some());
    let columns = [
        (true, ("Model", Align::Left)),
        (named, ("Name", Align::Left)),
        (true, ("Input", Align::Left)),
        (true, ("Context", Align::Right)),
        (true, ("Max out", Align::Right)),
        (true, ("Reasoning", Align::Left)),
        (priced, ("$ per M in/out", Align::Right)),
        (true, ("Source", Align::Left)),
    ];
    let mut table = Table::new(
        columns
            .iter()
            .filter(|(shown, _)| *shown)
            .map(|(_, column)| *column),
    );
    for model in models {
        let input: Vec<&str> = model.input.iter().map(json::modality).collect();
        let cells = [
            format!("{provider}/{}", model.id),
            model.name.clone(),
            input.join("+"),
            amount::count(model.context_window.into()),
            amount::count(model.max_tokens.into()),
            String::from(if model.reasoning { "yes" } else { "no" }),
            prices(&model.cost).unwrap_or_else(|| String::from("–")),
            json::model_source(&model.source).to_owned(),
        ];
        table.row(
            columns
                .iter()
                .zip(cells)
                .filter(|((shown, _), _)| *shown)
                .map(|(_, cell)| cell),
        );
    }
    table
}

/// Prices of prompt and answer; none if both are nothing.
fn prices(cost: &types::Cost) -> Option<String> {
    (cost.input > 0.0 || cost.output > 0.0).then(|| format!("{}/{}", cost.input, cost.output))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(id: &str, name: &str, price: f64) -> types::Model {
        types::Model {
            id: id.into(),
            name: name.into(),
            reasoning: price > 0.0,
            input: vec![types::Modality::Text, types::Modality::Image],
            cost: types::Cost {
                input: price,
                output: price * 3.0,
                cache_read: 0.0,
                cache_write: 0.0,
            },
            context_window: 40_960,
            max_tokens: 8_192,
            parent: None,
            source: types::ModelSource::Declared,
        }
    }

    fn text(models: &[types::Model]) -> String {
        let mut out = Vec::new();
        table("vllm", models).write(&mut out).unwrap();
        String::from_utf8(anstream::adapter::strip_bytes(&out).into_vec()).unwrap()
    }

    #[test]
    fn columns_with_nothing_to_say_are_left_out() {
        assert_eq!(
            text(&[model("a", "a", 0.0)]),
            "Model   Input       Context  Max out  Reasoning  Source\n\
             vllm/a  text+image   40,960    8,192  no         declared\n"
        );
        assert_eq!(
            text(&[model("a", "a", 0.0), model("b", "Bee", 0.5)]),
            "Model   Name  Input       Context  Max out  Reasoning  $ per M in/out  Source\n\
             vllm/a  a     text+image   40,960    8,192  no                      –  declared\n\
             vllm/b  Bee   text+image   40,960    8,192  yes               0.5/1.5  declared\n"
        );
    }

    #[test]
    fn a_model_has_the_documented_fields() {
        let model = model("Qwen/Qwen3-8B", "Qwen", 0.0);
        assert_eq!(
            serde_json::to_string(&json::Model::of("vllm", &model)).unwrap(),
            "{\"ref\":\"vllm/Qwen/Qwen3-8B\",\"id\":\"Qwen/Qwen3-8B\",\"name\":\"Qwen\",\
             \"reasoning\":false,\"input\":[\"text\",\"image\"],\"context_window\":40960,\
             \"max_tokens\":8192,\"cost\":{\"input\":0.0,\"output\":0.0,\"cache_read\":0.0,\
             \"cache_write\":0.0},\"source\":\"declared\"}"
        );
    }
}
