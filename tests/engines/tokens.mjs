// tokens.mjs MODEL COUNT ID...: real llama.cpp (node-llama-cpp) goes on from these tokens, always with
// the likeliest, and prints the ids of the next COUNT.
import {createRequire} from "node:module";
import {pathToFileURL} from "node:url";

const engines = process.env.LETHE_TEST_ENGINES ?? new URL("../../build/engines", import.meta.url).pathname;
const entry = createRequire(engines + "/package.json").resolve("node-llama-cpp");
const {getLlama} = await import(pathToFileURL(entry));

const [modelPath, count, ...prompt] = process.argv.slice(2);
const llama = await getLlama({gpu: false, build: "never", progressLogs: false});
const model = await llama.loadModel({modelPath});
const context = await model.createContext({contextSize: 512, batchSize: 64, flashAttention: false, threads: 1});
const found = [];
for await (const token of context.getSequence().evaluate(prompt.map(Number), {temperature: 0})) {
    found.push(token);
    if (found.length === Number(count))
        break;
}
console.log(found.join(" "));
await llama.dispose();
