#!/usr/bin/env python3
"""Trains a tiny model that knows a script by heart, for a real vLLM server to serve on a CPU.

The model is a Qwen3 of 0.85 million parameters. With temperature 0 it answers each
question of SCRIPT with its answer, token for token, so that a real server emits real
thinking, tool calls, parallel calls and characters that are split over tokens. What is
outside the script gets gibberish, which is all that a test of the wire needs.

Runs with torch, transformers and tokenizers (vLLM brings them) and without a network,
in three to nine minutes on one core.

usage: make_tiny_model.py OUT_FOLDER [--steps 700] [--seed 1]
"""

import argparse
import json
import os
import pathlib
import random
import time
from pydoc_data import topics

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

# Renders conversations in the prompt format of Qwen3, which vLLM's parsers know.
CHAT_TEMPLATE = (pathlib.Path(__file__).parent / "chat_template.jinja").read_text().rstrip("\n")

# Where words, numbers, signs and spaces are cut before they become tokens.
CUTS = r"\p{N}|[^\r\n\p{L}\p{N}]?\p{L}+| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+"
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
TAGS = ["<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>"]


def call(name, **arguments):
    """A tool call as the Hermes format writes it."""
    body = json.dumps({"name": name, "arguments": arguments}, ensure_ascii=False)
    return f"<tool_call>\n{body}\n</tool_call>"


def weather(city):
    return call("get_weather", city=city, unit="celsius")


LONG_QUESTION = "Count to one hundred."

# The last message of the user -> (thinking or None, answer).
SCRIPT = {
    "Say hello.": (None, "Hello! How can I help you today?"),
    "Say nothing.": (None, ""),
    "Think: what is 2 + 2?": ("The user asks for two plus two. Two plus two is four.", "2 + 2 = 4."),
    "Think only.": ("I only think about this and never answer.", ""),
    "Greet me in many scripts.": (None, "こんにちは 👋🏽 — naïve café, Привет, שלום 👨‍👩‍👧‍👦 ✓"),
    "Show me code.": (None, '```rust\nfn main() {\n\tprintln!("hi \\"you\\"");\n}\n```\n'),
    "Weather in Paris?": (None, weather("Paris")),
    "Weather in Paris and Tokyo?": (None, weather("Paris") + "\n" + weather("Tokyo")),
    "Think: weather in Oslo?": ("I need the weather tool for Oslo.", weather("Oslo")),
    "Say something, then weather in Rome.": (None, "Let me look that up.\n" + weather("Rome")),
    "Think, say something, then weather in Lima.": ("Lima needs the weather tool.", "Looking up Lima.\n" + weather("Lima")),
    "What time is it?": (None, call("get_time")),
    "Write the file.": (
        None,
        call(
            "write_file",
            path="/tmp/é.txt",
            text='line "one"\nline two\t{"a": [1, 2.5, null, true]}\n</p> \\ 日本 👋',
            mode=420,
            opts={"deep": {"x": []}},
        ),
    ),
    "Broken call.": (None, '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Par\n</tool_call>'),
    "Unclosed call.": (None, '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}'),
    "Call then talk.": (None, weather("Bern") + "\nDone."),
    "Unknown tool.": (None, call("no_such_tool", q="x")),
    LONG_QUESTION: (None, " ".join(str(number) for number in range(1, 101))),
}

# What a tool says, and the answer to it.
TOOL_RESULT = ("18 degrees, sunny", "It is 18 degrees and sunny.")


def tool(name, description, **schema):
    parameters = {"type": "object", **schema}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


TEXT = {"type": "string"}
TOOLS = [
    tool(
        "get_weather",
        "Get the weather",
        properties={"city": TEXT, "unit": {**TEXT, "enum": ["celsius", "fahrenheit"]}},
        required=["city"],
    ),
    tool("get_time", "Get the time", properties={}),
    tool("write_file", "Write a file", properties={"path": TEXT, "text": TEXT}, required=["path", "text"]),
]
SYSTEM_PROMPTS = [
    "You are a helpful assistant.",
    "Be brief.",
    "You are a test fixture. Answer from the script.",
    "Use tools when asked.",
]


def whole_answer(thinking, answer):
    return answer if thinking is None else f"<think>\n{thinking}\n</think>\n\n{answer}"


def make_tokenizer(folder):
    """A byte-level tokenizer of 2,000 tokens, learned from Python's own documentation and the script."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(CUTS), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    corpus = [*topics.topics.values(), CHAT_TEMPLATE]
    for question, (thinking, answer) in SCRIPT.items():
        corpus += [f"{question}\n{thinking or ''}\n"] * 40
        # Text of several bytes a character stays rare, so that its characters are split over tokens.
        if answer.isascii():
            corpus += [answer] * 10
    corpus += [json.dumps(tool) for tool in TOOLS] * 40 + SYSTEM_PROMPTS * 40
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        corpus, trainers.BpeTrainer(vocab_size=2000, initial_alphabet=alphabet, show_progress=False)
    )
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in SPECIAL])
    tokenizer.add_tokens([AddedToken(text, special=False, normalized=False) for text in TAGS])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        model_max_length=8192,
        clean_up_tokenization_spaces=False,
    )
    fast.chat_template = CHAT_TEMPLATE
    fast.save_pretrained(folder)
    return fast


def conversation(dice):
    """One conversation of the training: messages, tools, arguments of the template, and the answer to learn."""
    messages, tools, template = [], None, {}
    if dice.random() < 0.5:
        messages.append({"role": "system", "content": dice.choice(SYSTEM_PROMPTS)})
    if dice.random() < 0.35:
        tools = dice.sample(TOOLS, dice.randint(1, 3))
    if dice.random() < 0.25:
        question = dice.choice(["Say hello.", "Show me code.", "Think: what is 2 + 2?"])
        messages.append({"role": "user", "content": question})
        messages.append({"role": "assistant", "content": SCRIPT[question][1]})
    if dice.random() < 0.12:
        question = dice.choice(["Weather in Paris?", "Weather in Paris and Tokyo?", "Think: weather in Oslo?"])
        count = 2 if "and" in question else 1
        function = {"name": "get_weather", "arguments": {"city": "Paris", "unit": "celsius"}}
        calls = [{"type": "function", "function": function}] * count
        messages.append({"role": "user", "content": question})
        messages.append({"role": "assistant", "content": "", "tool_calls": calls})
        messages += [{"role": "tool", "content": TOOL_RESULT[0]}] * count
        return messages, tools, template, TOOL_RESULT[1]
    question = LONG_QUESTION if dice.random() < 0.1 else dice.choice(list(SCRIPT))
    messages.append({"role": "user", "content": question})
    thinking, answer = SCRIPT[question]
    if dice.random() < (0.15 if thinking is None else 0.2):
        template["enable_thinking"] = False
        thinking = None
    return messages, tools, template, whole_answer(thinking, answer)


def sample(tokenizer, dice):
    """One text of the training as tokens: prompt, answer."""
    messages, tools, template, answer = conversation(dice)
    prompt = tokenizer.apply_chat_template(
        messages, tools=tools, add_generation_prompt=True, tokenize=False, **template
    )

    def tokens(text):
        return tokenizer(text, add_special_tokens=False)["input_ids"]

    return tokens(prompt), tokens(answer + "<|im_end|>")


def batch_of(tokenizer, dice, size, padding):
    """Texts of like length as two tensors: the tokens, and those of them that are to be learned."""
    pool = sorted((sample(tokenizer, dice) for _ in range(size * 4)), key=lambda text: len(text[0]) + len(text[1]))
    first = dice.randrange(len(pool) - size + 1)
    pool = pool[first : first + size]
    longest = max(len(prompt) + len(answer) for prompt, answer in pool)
    tokens = torch.full((size, longest), padding)
    wanted = torch.full((size, longest), -100)
    for row, (prompt, answer) in enumerate(pool):
        end = len(prompt) + len(answer)
        tokens[row, :end] = torch.tensor(prompt + answer)
        wanted[row, len(prompt) : end] = torch.tensor(answer)
    return tokens, wanted


def train(model, tokenizer, options):
    dice = random.Random(options.seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.rate, betas=(0.9, 0.98), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=options.rate, total_steps=options.steps, pct_start=0.08
    )
    begun = time.time()
    model.train()
    for step in range(1, options.steps + 1):
        tokens, wanted = batch_of(tokenizer, dice, options.batch, model.config.pad_token_id)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            hidden = model.model(input_ids=tokens, use_cache=False).last_hidden_state[:, :-1]
            wanted = wanted[:, 1:]
            learned = wanted != -100
            loss = torch.nn.functional.cross_entropy(model.lm_head(hidden[learned]).float(), wanted[learned])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        if step == 1 or step % 50 == 0:
            print(f"step {step} of {options.steps}, loss {loss.item():.4f}, {time.time() - begun:.0f} s", flush=True)
    model.eval()


def recited(model, tokenizer):
    """How many entries of the script the model says exactly; the others are printed."""
    exact = 0
    for question, (thinking, answer) in SCRIPT.items():
        messages = [{"role": "user", "content": question}]
        prompt = tokenizer.apply_chat_template(messages, tools=TOOLS[:2], add_generation_prompt=True, tokenize=False)
        given = tokenizer(prompt, add_special_tokens=False, return_tensors="pt")
        said = model.generate(
            input_ids=given["input_ids"],
            attention_mask=given["attention_mask"],
            max_new_tokens=400,
            do_sample=False,
        )
        said = tokenizer.decode(said[0][given["input_ids"].shape[1] :], skip_special_tokens=True)
        if said == whole_answer(thinking, answer):
            exact += 1
        else:
            print(f"differs: {question!r}: {said[:160]!r}")
    return exact


def main():
    parser = argparse.ArgumentParser(description="Trains the tiny scripted model.")
    parser.add_argument("out")
    parser.add_argument("--steps", type=int, default=700)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rate", type=float, default=3e-3)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    os.makedirs(options.out, exist_ok=True)
    tokenizer = make_tokenizer(options.out)
    config = Qwen3Config(
        vocab_size=2048,
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=64,
        max_position_embeddings=8192,
        tie_word_embeddings=True,
        rms_norm_eps=1e-6,
        bos_token_id=None,
        eos_token_id=tokenizer.convert_tokens_to_ids("<|im_end|>"),
        pad_token_id=tokenizer.convert_tokens_to_ids("<|endoftext|>"),
    )
    assert len(tokenizer) <= config.vocab_size, len(tokenizer)
    model = Qwen3ForCausalLM(config)
    print(f"{sum(weights.numel() for weights in model.parameters()) / 1e6:.2f} million parameters", flush=True)
    train(model, tokenizer, options)
    model.generation_config.eos_token_id = config.eos_token_id
    model.generation_config.pad_token_id = config.pad_token_id
    model.to(torch.bfloat16).save_pretrained(options.out)
    exact = recited(model.float(), tokenizer)
    print(f"{exact} of {len(SCRIPT)} entries are recited exactly")
    if exact < len(SCRIPT):
        raise SystemExit("the model does not know its script: train it with more --steps or another --seed")


if __name__ == "__main__":
    main()
