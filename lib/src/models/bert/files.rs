//! BERT and DistilBERT in the files of Hugging Face.

use std::path::Path;

use serde_json::{Value, json};
use tch::nn::VarStore;

use super::{Bert, BertClassifier, BertConfig, BertHeads};
use crate::error::{Error, Result};
use crate::pretrained::{Layout, check_room, read_config, tensor_names, write_config};

impl Bert {
    /// Reads `config.json` and `model.safetensors` in `folder` into `vs`, which must be empty. It gets the
    /// heads that the file has weights for; the last layer of a classifier is left out.
    ///
    /// Files of BertForPreTraining, BertForMaskedLM, BertModel and sentence encoders made of it are read, and
    /// DistilBERT's.
    ///
    /// # Errors
    /// If a file cannot be read, is not a BERT's, or a tensor is missing, left over or of another shape: the
    /// message names each of them.
    pub fn load(vs: &VarStore, folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        let config = read_bert_config(folder)?;
        let bert = Self::new(&vs.root(), config)?;
        let distilled = config.is_distilled();
        let own_name = |name: &str| theirs(name, distilled).filter(|name| !is_classifier(name));
        bert.layout().load(vs, folder, own_name)?;
        Ok(bert)
    }

    /// Writes `config.json` and `model.safetensors` to `folder`, for [`Bert::load`] and for `transformers`.
    /// `vs` is the VarStore that the model was made with, and holds nothing else.
    ///
    /// # Errors
    /// If a file cannot be written, or `vs` holds other variables; if it is a DistilBERT with other heads than the one
    /// for words, which its files have no names for.
    pub fn save(&self, vs: &VarStore, folder: impl AsRef<Path>) -> Result<()> {
        let BertHeads { pooler, words, next } = self.config.heads;
        if self.config.is_distilled() && (pooler || next) {
            return Err(Error::input(
                "the files of a DistilBERT (0 segments) have no place for the heads `pooler` and `next`: make the model with \
                 BertHeads::WORDS",
            ));
        }
        let architecture = match (self.config.is_distilled(), words, next) {
            (true, true, _) => "DistilBertForMaskedLM",
            (true, false, _) => "DistilBertModel",
            (false, _, true) => "BertForPreTraining",
            (false, true, false) => "BertForMaskedLM",
            (false, false, false) => "BertModel",
        };
        self.layout().save(vs, &folder)?;
        write_config(folder, &their_config(&self.config, architecture))
    }

    /// What its variables are called in the file.
    fn layout(&self) -> Layout {
        let names = Names { distilled: self.config.is_distilled() };
        let mut layout = Layout::new()
            .same("embeddings.ids.weight", names.body("embeddings.word_embeddings.weight"))
            .same("embeddings.positions.weight", names.body("embeddings.position_embeddings.weight"));
        if !names.distilled {
            layout = layout
                .same("embeddings.segments.weight", names.body("embeddings.token_type_embeddings.weight"));
        }
        layout = both(layout, "embeddings.norm", &names.body("embeddings.LayerNorm"));
        for layer in 0..self.config.n_layers {
            layout = names.layer(layout, layer);
        }
        let BertHeads { pooler, words, next } = self.config.heads;
        if pooler {
            layout = both(layout, "pooler", &names.body("pooler.dense"));
        }
        if words {
            let [transform, norm, bias] = names.word_head();
            layout =
                both(both(layout, "words.transform", transform), "words.norm", norm).same("words.bias", bias);
        }
        if next { both(layout, "next", "cls.seq_relationship") } else { layout }
    }
}

impl BertClassifier {
    /// Reads a classifier that [`save`](Self::save) or `transformers` wrote into `vs`, which must be empty.
    ///
    /// # Errors
    /// As [`Bert::load`].
    pub fn load(vs: &VarStore, folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        let config: Value = read_config(folder)?;
        let classes = config["id2label"].as_object().map_or(2, |labels| labels.len() as i64);
        let bert = Bert::new(&vs.root(), read_bert_config(folder)?)?;
        let distilled = bert.config.is_distilled();
        let model = Self::new(&vs.root(), bert, classes)?;
        model.layout().load(vs, folder, |name| theirs(name, distilled))?;
        Ok(model)
    }

    /// Writes `config.json` and `model.safetensors` to `folder`, for [`load`](Self::load) and for
    /// `transformers`. `vs` is the VarStore that the model was made with, and holds nothing else.
    ///
    /// # Errors
    /// As [`Bert::save`].
    pub fn save(&self, vs: &VarStore, folder: impl AsRef<Path>) -> Result<()> {
        let distilled = self.bert.config.is_distilled();
        let architecture =
            if distilled { "DistilBertForSequenceClassification" } else { "BertForSequenceClassification" };
        let mut config = their_config(&self.bert.config, architecture);
        config["id2label"] = (0..self.classes()).map(|c| (c.to_string(), format!("LABEL_{c}"))).collect();
        config["label2id"] = (0..self.classes()).map(|c| (format!("LABEL_{c}"), c)).collect();
        self.layout().save(vs, &folder)?;
        write_config(folder, &config)
    }

    fn layout(&self) -> Layout {
        let layout = both(self.bert.layout(), "classifier", "classifier");
        match (&self.pooler, self.bert.config.is_distilled()) {
            (None, _) => layout,
            (Some(_), true) => both(layout, "classifier_pooler", "pre_classifier"),
            (Some(_), false) => both(layout, "classifier_pooler", "bert.pooler.dense"),
        }
    }
}

/// The sizes in `config.json`, with the heads that `model.safetensors` has weights for.
fn read_bert_config(folder: &Path) -> Result<BertConfig> {
    let json: Value = read_config(folder)?;
    let model = json["model_type"].as_str().unwrap_or("nothing");
    if !["bert", "distilbert"].contains(&model) {
        return Err(Error::input(format!(
            "{}: model_type is {model}, not bert or distilbert: load it as that model",
            folder.display()
        )));
    }
    if json["tie_word_embeddings"] == json!(false) {
        return Err(Error::input(format!(
            "{}: tie_word_embeddings is false, but our word head reads the embedding table: choose a model where it is true",
            folder.display()
        )));
    }
    let mut config: BertConfig = read_config(folder)?;
    let BertConfig { vocab_size, d_model, n_layers, d_ff, block_size, segments, .. } = config;
    check_room(folder, d_model, d_ff, n_layers, &[vocab_size, block_size, segments])?;
    let names: Vec<String> =
        tensor_names(folder)?.iter().filter_map(|name| theirs(name, config.is_distilled())).collect();
    let has = |part: &str| names.iter().any(|name| name.starts_with(part));
    config.heads = BertHeads {
        pooler: has("bert.pooler."),
        words: has("cls.predictions.") || has("vocab_transform."),
        next: has("cls.seq_relationship."),
    };
    Ok(config)
}

fn their_config(config: &BertConfig, architecture: &str) -> Value {
    let BertConfig { vocab_size, d_model, n_layers, n_heads, d_ff, block_size, dropout, activation, .. } =
        *config;
    let mut json = if config.is_distilled() {
        json!({
            "model_type": "distilbert", "vocab_size": vocab_size, "dim": d_model, "n_layers": n_layers,
            "n_heads": n_heads, "hidden_dim": d_ff, "max_position_embeddings": block_size,
            "dropout": dropout, "attention_dropout": dropout, "activation": activation,
        })
    } else {
        let mut json = json!(config);
        json["model_type"] = "bert".into();
        json["attention_probs_dropout_prob"] = dropout.into();
        json
    };
    json["architectures"] = json!([architecture]);
    json
}

/// Brings a name in a file into the form of the layout: of `bert.` or `distilbert.`, which files of the bare
/// encoder leave out, and with the words that old files have for gains and biases. `None`: it is no weight, or
/// a second copy of the embedding table.
fn theirs(name: &str, distilled: bool) -> Option<String> {
    const COPIES: [&str; 3] =
        ["cls.predictions.decoder.weight", "cls.predictions.decoder.bias", "vocab_projector.weight"];
    if name.ends_with(".position_ids") || COPIES.contains(&name) {
        return None;
    }
    let name =
        name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias");
    let bare =
        ["embeddings.", "encoder.", "transformer.", "pooler."].iter().any(|part| name.starts_with(part));
    let prefix = if distilled { "distilbert" } else { "bert" };
    Some(if bare { format!("{prefix}.{name}") } else { name })
}

fn is_classifier(name: &str) -> bool {
    name.starts_with("classifier.") || name.starts_with("pre_classifier.")
}

/// Weight and bias of a layer.
fn both(layout: Layout, ours: &str, theirs: &str) -> Layout {
    layout
        .same(format!("{ours}.weight"), format!("{theirs}.weight"))
        .same(format!("{ours}.bias"), format!("{theirs}.bias"))
}

/// The names of one family.
struct Names {
    distilled: bool,
}

impl Names {
    fn body(&self, name: &str) -> String {
        format!("{}.{name}", if self.distilled { "distilbert" } else { "bert" })
    }

    fn word_head(&self) -> [&'static str; 3] {
        if self.distilled {
            ["vocab_transform", "vocab_layer_norm", "vocab_projector.bias"]
        } else {
            ["cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm", "cls.predictions.bias"]
        }
    }

    fn layer(&self, layout: Layout, layer: i64) -> Layout {
        let ours = format!("layers.{layer}");
        let (stack, qkv, parts) = if self.distilled {
            let parts = ["attention.out_lin", "sa_layer_norm", "ffn.lin1", "ffn.lin2", "output_layer_norm"];
            ("transformer", ["q_lin", "k_lin", "v_lin"].map(|part| format!("attention.{part}")), parts)
        } else {
            let parts = [
                "attention.output.dense",
                "attention.output.LayerNorm",
                "intermediate.dense",
                "output.dense",
                "output.LayerNorm",
            ];
            ("encoder", ["query", "key", "value"].map(|part| format!("attention.self.{part}")), parts)
        };
        let theirs = self.body(&format!("{stack}.layer.{layer}"));
        let mut layout = layout;
        for kind in ["weight", "bias"] {
            let stacked = qkv.iter().map(|part| format!("{theirs}.{part}.{kind}"));
            layout = layout.stacked(format!("{ours}.attention.qkv.{kind}"), stacked);
        }
        ["attention.out", "norm1", "feed_forward.up", "feed_forward.down", "norm2"]
            .iter()
            .zip(parts)
            .fold(layout, |layout, (part, name)| {
                both(layout, &format!("{ours}.{part}"), &format!("{theirs}.{name}"))
            })
    }
}
