//! Values of a Python pickle, such as NumPy's object arrays hold.
//!
//! A pickle is a little program: it may name any function of any module and
//! have it called. Here nothing is looked up and nothing is called; a call
//! becomes a [`Value::Call`] that says what was asked for, and whoever reads
//! it knows the few that mean something.
//!
//! General readers lose the name of the type of each first array of a type
//! (`BUILD` replaces the call by its state), copy what is referred to twice,
//! so that a few bytes may become gigabytes, and go as deep into nested values
//! as the stack of the thread allows. Here every value is made once, in one
//! list, refers to others by their place in it, and only ever to earlier ones
//! or to itself, so that readers need not follow what they do not know.

mod machine;

use machine::Machine;

/// The place of a value in [`Pickle`].
pub(crate) type Id = usize;

/// One value of a pickle.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    /// Bytes, a range of the file.
    Bytes(std::ops::Range<usize>),
    Text(String),
    /// A list, tuple or set.
    Items(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    /// A name of a module: the last part of it.
    Name(String),
    /// What a name was called with, and the state set afterwards.
    Call {
        name: Id,
        arguments: Id,
        state: Option<Id>,
    },
    /// Something else that the format knows.
    Other,
}

/// All values of a pickle.
#[derive(Debug)]
pub(crate) struct Pickle<'a> {
    bytes: &'a [u8],
    values: Vec<Value>,
    root: Id,
}

impl<'a> Pickle<'a> {
    /// Reads the pickle that `bytes` begin with; says what is wrong with it.
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, String> {
        let mut machine = Machine::new(bytes);
        let root = machine.run()?;
        Ok(Self {
            bytes,
            values: machine.values,
            root,
        })
    }

    pub(crate) fn root(&self) -> Id {
        self.root
    }

    pub(crate) fn get(&self, id: Id) -> &Value {
        self.values.get(id).unwrap_or(&Value::Other)
    }

    pub(crate) fn items(&self, id: Id) -> Option<&[Id]> {
        match self.get(id) {
            Value::Items(items) => Some(items),
            _ => None,
        }
    }

    /// Bytes; old protocols write them as text, one character for each.
    pub(crate) fn bytes(&self, id: Id) -> Option<std::borrow::Cow<'a, [u8]>> {
        match self.get(id) {
            Value::Bytes(range) => self.bytes.get(range.clone()).map(Into::into),
            Value::Call {
                name, arguments, ..
            } if self.is_name(*name, "encode") => {
                let text = self.items(*arguments)?.first()?;
                let text = self.text(*text)?;
                let bytes: Option<Vec<u8>> = text
                    .chars()
                    .map(|c| u8::try_from(u32::from(c)).ok())
                    .collect();
                bytes.map(Into::into)
            }
            _ => None,
        }
    }

    pub(crate) fn text(&self, id: Id) -> Option<&str> {
        match self.get(id) {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn is_name(&self, id: Id, wanted: &str) -> bool {
        matches!(self.get(id), Value::Name(name) if name == wanted)
    }

    /// The value of a key of text.
    pub(crate) fn entry(&self, dict: Id, key: &str) -> Option<Id> {
        let Value::Dict(entries) = self.get(dict) else {
            return None;
        };
        // The last one wins, as in Python.
        let mut found = entries.iter().rev();
        found.find(|(k, _)| self.text(*k) == Some(key)).map(|e| e.1)
    }
}
