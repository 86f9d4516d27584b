// complete.mjs MODEL [read]: real llama.cpp (node-llama-cpp) completes "hello" with 8 tokens at
// temperature 0, the same ones at every run. With "read" the file is read instead of mapped. One thread:
// several would spin while they wait for each other, at the cost of whatever else runs.
import {createRequire} from "node:module";
import {pathToFileURL} from "node:url";

const engines = process.env.LETHE_TEST_ENGINES ?? new URL("../../build/engines", import.meta.url).pathname;
const entry = createRequire(engines + "/package.json").resolve("node-llama-cpp");
const {getLlama, LlamaCompletion} = await import(pathToFileURL(entry));

const [modelPath, how] = process.argv.slice(2);
const llama = await getLlama({gpu: false, build: "never", progressLogs: false, maxThreads: 1});
const model = await llama.loadModel({modelPath, useMmap: how !== "read"});
const context = await model.createContext({contextSize: 128, threads: 1});
const completion = new LlamaCompletion({contextSequence: context.getSequence()});
console.log(JSON.stringify(await completion.generateCompletion("hello", {maxTokens: 8, temperature: 0})));
await llama.dispose();
