//! Named tensors and text in a safetensors file that is written whole or not at all, and read whole or not
//! at all.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, SafeTensors, View};
use sha2::{Digest, Sha256};
use tch::{Device, Tensor};

use crate::error::{Error, Result};

/// What a run needs to go on: named tensors, and named texts, which lie in the file's header.
///
/// The header also holds a SHA-256 of the file, so that a file that was cut off or has a wrong bit
/// is refused. The checkpoint before the newest stays beside it, with `.previous` after its name.
///
/// ```
/// use llm_course::train::Checkpoint;
/// use tch::Tensor;
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("run.safetensors");
/// let mut checkpoint = Checkpoint::default();
/// checkpoint.tensors.insert("weight".into(), Tensor::from_slice(&[1.0, 2.0]));
/// checkpoint.save(&path)?;
/// assert_eq!(Checkpoint::load(&path)?.tensors["weight"], checkpoint.tensors["weight"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct Checkpoint {
    /// Tensors by name; saved from any device, loaded on the CPU.
    pub tensors: BTreeMap<String, Tensor>,
    /// Texts by name; `sha256` is taken.
    pub metadata: BTreeMap<String, String>,
}

impl Checkpoint {
    /// Writes the file: first beside it, then to the disk, then in its place, so that whatever happens
    /// there is always a whole checkpoint. The one that was there becomes `.previous`. Missing folders are
    /// made.
    ///
    /// # Errors
    /// If the disk is full, the folder cannot be written, there are no tensors, or one has a kind that
    /// safetensors lacks.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        if self.tensors.is_empty() {
            return Err(Error::input("a checkpoint without tensors: safetensors would not read it back"));
        }
        let failed = |source| Error::file(path, source, "the checkpoint is not saved: is there space left?");
        let stored: Vec<_> = self.tensors.iter().map(Stored::new).collect::<Result<_>>()?;
        let unsigned = (SIGNATURE.to_string(), UNSIGNED.to_string());
        let header: HashMap<_, _> = self.metadata.clone().into_iter().chain([unsigned]).collect();
        let temporary = temporary(path);
        let folder = path.parent().filter(|folder| *folder != "").unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(failed)?;
        let named = stored.iter().map(|stored| (stored.name, stored));
        let written = safetensors::serialize_to_file(named, &Some(header), &temporary)
            .map_err(io::Error::other)
            .and_then(|()| sign(&temporary));
        written.map_err(|source| {
            let _ = fs::remove_file(&temporary); // half a file would fill a full disk
            failed(source)
        })?;
        if path.exists() {
            fs::rename(path, previous(path)).map_err(failed)?;
        }
        fs::rename(&temporary, path).map_err(failed)?;
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
    }

    /// Reads one file.
    ///
    /// # Errors
    /// If it cannot be read, or is not exactly what [`save`](Self::save) wrote.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = fs::read(path).map_err(|source| Error::file(path, source, "check the path"))?;
        Self::parse(&bytes).map_err(|error| {
            Error::input(format!("{}: damaged, or no checkpoint of this crate: {error}", path.display()))
        })
    }

    /// The newest whole checkpoint: the file at `path`, else the one before it, else one that was whole but not yet in
    /// its place when its program was killed; `None` if there are no such files, or only the beginning of a first
    /// one. Says so on the screen when it falls back.
    ///
    /// # Errors
    /// If there were whole files but none is now.
    pub fn latest(path: impl AsRef<Path>) -> Result<Option<Self>> {
        let path = path.as_ref();
        let mut damage = Vec::new();
        // A damaged file that becomes `.previous` takes the place of the one that its run went on from: a program
        // killed just then leaves a whole one in `.tmp` only.
        let files = [path.to_path_buf(), previous(path), temporary(path)];
        for file in files.iter().filter(|file| file.exists()) {
            match Self::load(file) {
                Ok(checkpoint) => {
                    let used = file.file_name().unwrap_or_default().display();
                    damage.iter().for_each(|error| println!("{error}; {used} is used instead"));
                    return Ok(Some(checkpoint));
                }
                Err(error) => damage.push(error),
            }
        }
        if !files[..2].iter().any(|file| file.exists()) {
            return Ok(None); // at most the first save was begun
        }
        let damage: Vec<_> = damage.iter().map(ToString::to_string).collect();
        Err(Error::input(format!("{}; delete what is damaged to start anew", damage.join("; "))))
    }

    fn parse(bytes: &[u8]) -> Result<Self, Box<dyn std::error::Error>> {
        let signature = signature_place(bytes).ok_or("it has no checksum")?;
        let digest = digest([&bytes[..signature], UNSIGNED.as_bytes(), &bytes[signature + UNSIGNED.len()..]]);
        if bytes[signature..signature + UNSIGNED.len()] != *digest.as_bytes() {
            return Err("its checksum does not fit its content".into());
        }
        let (_, header) = SafeTensors::read_metadata(bytes)?;
        let mut metadata: BTreeMap<_, _> =
            header.metadata().clone().unwrap_or_default().into_iter().collect();
        metadata.remove(SIGNATURE);
        let views = SafeTensors::deserialize(bytes)?;
        let tensors = views.tensors().into_iter().map(|(name, view)| Ok((name, Tensor::try_from(view)?)));
        Ok(Self { tensors: tensors.collect::<Result<_>>()?, metadata })
    }
}

/// Where the checkpoint before the newest lies.
fn previous(path: &Path) -> PathBuf {
    path.with_added_extension("previous")
}

/// Where a checkpoint lies while it is written.
fn temporary(path: &Path) -> PathBuf {
    path.with_added_extension("tmp")
}

const SIGNATURE: &str = "sha256";
const UNSIGNED: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The first byte of the checksum in a file or its header. Quotation marks in names and texts are escaped,
/// so the first match is the entry.
fn signature_place(bytes: &[u8]) -> Option<usize> {
    let entry = format!("\"{SIGNATURE}\":\"");
    let place = bytes.windows(entry.len()).position(|window| window == entry.as_bytes())? + entry.len();
    (place + UNSIGNED.len() <= bytes.len()).then_some(place)
}

/// SHA-256 of the parts in a row, in hexadecimal.
fn digest(parts: [&[u8]; 3]) -> String {
    let hash = parts.iter().fold(Sha256::new(), |hash, part| hash.chain_update(part));
    format!("{:x}", hash.finalize())
}

/// Puts the checksum of the whole file, taken with zeros in its place, into the header; then waits for the
/// disk.
fn sign(path: &Path) -> io::Result<()> {
    let mut file = File::options().read(true).write(true).open(path)?;
    let mut length = [0; 8];
    file.read_exact(&mut length)?;
    let mut header = Vec::new();
    (&file).take(u64::from_le_bytes(length)).read_to_end(&mut header)?;
    let place = signature_place(&header).ok_or(io::ErrorKind::InvalidData)?;
    let mut hash = Sha256::new();
    file.rewind()?;
    io::copy(&mut file, &mut hash)?;
    file.seek(SeekFrom::Start((length.len() + place) as u64))?;
    write!(file, "{:x}", hash.finalize())?;
    file.sync_all()
}

/// A tensor on its way into the file; copied from a device one at a time.
struct Stored<'a> {
    name: &'a str,
    tensor: &'a Tensor,
    dtype: Dtype,
    shape: Vec<usize>,
}

impl<'a> Stored<'a> {
    fn new((name, tensor): (&'a String, &'a Tensor)) -> Result<Self> {
        let shape = tensor.size().iter().map(|&size| size as usize).collect();
        Ok(Self { name, tensor, dtype: tensor.kind().try_into()?, shape })
    }
}

impl View for &Stored<'_> {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let mut bytes = vec![0; self.data_len()];
        let tensor = self.tensor.to_device(Device::Cpu).contiguous();
        tensor.copy_data_u8(&mut bytes, tensor.numel());
        bytes.into()
    }

    fn data_len(&self) -> usize {
        self.shape.iter().product::<usize>() * self.dtype.size()
    }
}
