//! The little program that a pickle is, run without calling anything.

use std::collections::HashMap;

use super::{Id, Value};

/// Values that one pickle may make: each costs tens of bytes.
const MOST_VALUES: usize = 1 << 25;

/// The program's stack, marks and memory.
pub(super) struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    pub(super) values: Vec<Value>,
    stack: Vec<Id>,
    marks: Vec<usize>,
    memo: HashMap<u64, Id>,
}

type Step<T> = Result<T, String>;

impl<'a> Machine<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            values: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
        }
    }

    /// Runs the program to its end; gives the place of what it made.
    pub(super) fn run(&mut self) -> Step<Id> {
        loop {
            match self.byte()? {
                b'.' => return self.pop(),
                0x80 => drop(self.byte()?),
                0x95 => drop(self.take(8)?),
                code => self.step(code)?,
            }
            if self.values.len() > MOST_VALUES || self.stack.len() > MOST_VALUES {
                return Err(format!("holds more than {MOST_VALUES} values"));
            }
        }
    }

    fn step(&mut self, code: u8) -> Step<()> {
        match code {
            b'(' => self.marks.push(self.stack.len()),
            b'0' => match self.marks.last() {
                // Python pops the mark itself if nothing lies above it.
                Some(&mark) if mark == self.stack.len() => drop(self.marks.pop()),
                _ => drop(self.pop()?),
            },
            b'1' => drop(self.above_mark()?),
            b'2' => {
                let top = self.top()?;
                self.stack.push(top);
            }
            b'p' | b'q' | b'r' | 0x94 => {
                let key = match code {
                    b'p' => self.line()?.parse().map_err(|_| self.broken())?,
                    b'q' => u64::from(self.byte()?),
                    b'r' => self.number(4)?,
                    _ => self.memo.len() as u64,
                };
                let top = self.top()?;
                self.memo.insert(key, top);
            }
            b'g' | b'h' | b'j' => {
                let key = match code {
                    b'g' => self.line()?.parse().map_err(|_| self.broken())?,
                    b'h' => u64::from(self.byte()?),
                    _ => self.number(4)?,
                };
                let id = *self.memo.get(&key).ok_or_else(|| self.broken())?;
                self.stack.push(id);
            }
            b'R' | 0x81 | b'o' | b'i' | 0x92 | b'b' | b'Q' | b'P' => self.call(code)?,
            b'c' => {
                self.line()?;
                let name = self.line()?;
                self.push(Value::Name(name));
            }
            0x93 => {
                let name = self.pop()?;
                self.pop()?;
                let Value::Text(name) = &self.values[name] else {
                    return Err(self.broken());
                };
                let name = Value::Name(name.clone());
                self.push(name);
            }
            b']' | b')' | 0x8f => self.push(Value::Items(Vec::new())),
            b'}' => self.push(Value::Dict(Vec::new())),
            b't' | b'l' | 0x91 => {
                let items = self.above_mark()?;
                self.push(Value::Items(items));
            }
            0x85..=0x87 => {
                let count = usize::from(code - 0x84);
                let start = self.stack.len().checked_sub(count);
                let start = start.ok_or_else(|| self.broken())?;
                let items = self.stack.split_off(start);
                self.push(Value::Items(items));
            }
            b'a' | b'e' | 0x90 => {
                let new = if code == b'a' {
                    vec![self.pop()?]
                } else {
                    self.above_mark()?
                };
                let top = self.top()?;
                if let Value::Items(items) = &mut self.values[top] {
                    items.extend(new);
                }
            }
            b'd' => {
                let items = self.above_mark()?;
                self.push(Value::Dict(entries(&items)));
            }
            b's' | b'u' => {
                let new = if code == b's' {
                    let value = self.pop()?;
                    vec![self.pop()?, value]
                } else {
                    self.above_mark()?
                };
                let top = self.top()?;
                // An object may take entries too; they are not looked at.
                if let Value::Dict(all) = &mut self.values[top] {
                    all.extend(entries(&new));
                }
            }
            _ => {
                let value = self.scalar(code)?;
                self.push(value);
            }
        }
        Ok(())
    }

    fn call(&mut self, code: u8) -> Step<()> {
        if code == b'b' {
            let state = self.pop()?;
            let object = self.top()?;
            if let Value::Call { state: slot, .. } = &mut self.values[object] {
                *slot = Some(state);
            }
            return Ok(());
        }
        let value = match code {
            b'R' | 0x81 => {
                let arguments = self.pop()?;
                let name = self.pop()?;
                Value::Call {
                    name,
                    arguments,
                    state: None,
                }
            }
            0x92 => {
                for _ in 0..3 {
                    self.pop()?;
                }
                Value::Other
            }
            b'o' => {
                self.above_mark()?;
                Value::Other
            }
            b'i' => {
                self.line()?;
                self.line()?;
                self.above_mark()?;
                Value::Other
            }
            b'Q' => {
                self.pop()?;
                Value::Other
            }
            _ => {
                self.line()?;
                Value::Other
            }
        };
        self.push(value);
        Ok(())
    }

    fn scalar(&mut self, code: u8) -> Step<Value> {
        Ok(match code {
            b'N' => Value::None,
            0x88 => Value::Bool(true),
            0x89 => Value::Bool(false),
            b'K' => Value::Int(i64::from(self.byte()?)),
            b'M' => Value::Int(self.number(2)? as i64),
            b'J' => Value::Int(i64::from(self.number(4)? as u32 as i32)),
            b'I' | b'L' => {
                let line = self.line()?;
                match line.trim_end_matches('L') {
                    "00" => Value::Bool(false),
                    "01" => Value::Bool(true),
                    number => number.parse().map_or(Value::Other, Value::Int),
                }
            }
            0x8a | 0x8b => {
                let length = self.number(if code == 0x8a { 1 } else { 4 })?;
                long(self.take(length)?)
            }
            b'F' => self
                .line()?
                .trim()
                .parse()
                .map_or(Value::Other, Value::Float),
            b'G' => {
                let bytes = self.take(8)?.try_into().map_err(|_| self.broken())?;
                Value::Float(f64::from_be_bytes(bytes))
            }
            b'C' | b'U' => self.range(1)?,
            b'B' | b'T' => self.range(4)?,
            0x8e | 0x96 => self.range(8)?,
            0x8c | b'X' | 0x8d => {
                let width = match code {
                    0x8c => 1,
                    b'X' => 4,
                    _ => 8,
                };
                let length = self.number(width)?;
                Value::Text(String::from_utf8_lossy(self.take(length)?).into_owned())
            }
            b'S' | b'V' => Value::Text(self.line()?),
            other => {
                return Err(format!(
                    "has an instruction that is not known ({other:#04x})"
                ));
            }
        })
    }

    fn range(&mut self, width: usize) -> Step<Value> {
        let length = self.number(width)?;
        let start = self.at;
        self.take(length)?;
        Ok(Value::Bytes(start..self.at))
    }

    fn push(&mut self, value: Value) {
        self.stack.push(self.values.len());
        self.values.push(value);
    }

    /// What lies above the last mark, which goes with it.
    fn above_mark(&mut self) -> Step<Vec<Id>> {
        let mark = self.marks.pop().filter(|&mark| mark <= self.stack.len());
        let mark = mark.ok_or_else(|| self.broken())?;
        Ok(self.stack.split_off(mark))
    }

    fn pop(&mut self) -> Step<Id> {
        self.stack.pop().ok_or_else(|| self.broken())
    }

    fn top(&self) -> Step<Id> {
        self.stack.last().copied().ok_or_else(|| self.broken())
    }

    fn broken(&self) -> String {
        format!("breaks off or is damaged at byte {}", self.at)
    }

    fn byte(&mut self) -> Step<u8> {
        Ok(self.take(1)?[0])
    }

    /// A number of `width` bytes, little-endian.
    fn number(&mut self, width: usize) -> Step<u64> {
        let bytes = self.take(width as u64)?;
        Ok(bytes.iter().rev().fold(0, |n, &b| (n << 8) | u64::from(b)))
    }

    fn take(&mut self, length: u64) -> Step<&[u8]> {
        let left = (self.bytes.len() - self.at) as u64;
        if length > left {
            return Err(self.broken());
        }
        let start = self.at;
        self.at += length as usize;
        Ok(&self.bytes[start..self.at])
    }

    fn line(&mut self) -> Step<String> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|&b| b == b'\n');
        let end = end.ok_or_else(|| self.broken())?;
        self.at += end + 1;
        Ok(String::from_utf8_lossy(&rest[..end]).into_owned())
    }
}

fn entries(items: &[Id]) -> Vec<(Id, Id)> {
    items.chunks_exact(2).map(|e| (e[0], e[1])).collect()
}

/// A whole number of any length, if it is one of 64 bits.
fn long(bytes: &[u8]) -> Value {
    if bytes.len() > 8 {
        return Value::Other;
    }
    let negative = bytes.last().is_some_and(|&b| b >= 0x80);
    let mut all = [if negative { 0xff } else { 0 }; 8];
    all[..bytes.len()].copy_from_slice(bytes);
    Value::Int(i64::from_le_bytes(all))
}
