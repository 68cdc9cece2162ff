//! What models are made of, one idea a file: the scores of a decoder with attention; masks, attention,
//! positions, embeddings, linear layers with LoRA, layer norm, feed-forward, blocks and the key–value cache of transformers.
//!
//! What a lesson derives stands here by hand (`attention_by_hand`, `layer_norm_by_hand`) beside libtorch's
//! fused form that the models use; tests prove them equal, forward and gradient. For training on a CPU, `fused` holds
//! layers whose backward pass is by hand too.

mod attention;
mod block;
mod cross_entropy;
mod embedding;
mod feed_forward;
mod fused;
mod init;
mod kv_cache;
mod linear;
mod masks;
mod multi_head;
mod norm;
mod positions;
mod score;

pub use attention::{attention_by_hand, scaled_dot_product_attention};
pub use block::{Block, BlockConfig, DecoderBlock, NormOrder};
pub use cross_entropy::{cross_entropy, smoothed_cross_entropy};
pub use embedding::{Embedding, EmbeddingConfig};
pub(crate) use embedding::{look_up, same_shape};
pub use feed_forward::{Activation, FeedForward};
pub(crate) use fused::gru_step;
pub use init::WeightInit;
pub(crate) use init::linear;
pub use kv_cache::KvCache;
pub use linear::{Linear, LoraConfig};
pub use masks::{Mask, causal_mask, key_mask, padding_mask};
pub use multi_head::{AttentionConfig, MultiHeadAttention};
pub use norm::{layer_norm, layer_norm_by_hand};
pub use positions::{Positions, Rotary, sinusoidal};
pub use score::{Attention, Memory, Score};
