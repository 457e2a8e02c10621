"""REINFORCE: an episode's log-probabilities are kept and weighed at its end."""
import hashlib
from itertools import count

import torch
from torch.distributions import Categorical

torch.manual_seed(543)
policy = torch.nn.Sequential(torch.nn.Linear(3, 12), torch.nn.Dropout(p=0.1), torch.nn.ReLU(), torch.nn.Linear(12, 2))
optimizer = torch.optim.Adam(policy.parameters(), lr=1e-2)


def episode():
    x, log_probs, rewards = torch.zeros(3), [], []
    for t in count():
        m = Categorical(logits=policy(x))
        action = m.sample()
        log_probs.append(m.log_prob(action))
        x = torch.tensor([x[0] + (0.3 if action else -0.3), t / 10, 1.0])
        rewards.append(1.0 - abs(float(x[0])))
        if abs(x[0]) > 1 or t > 12:
            return log_probs, rewards


running = 0.0
for i_episode in range(12):
    log_probs, rewards = episode()
    R, returns = 0.0, []
    for r in rewards[::-1]:
        R = r + 0.99 * R
        returns.insert(0, R)
    returns = torch.tensor(returns)
    returns = (returns - returns.mean()) / (returns.std() + 1e-6)
    policy_loss = torch.cat([(-lp * ret).reshape(1) for lp, ret in zip(log_probs, returns)]).sum()
    optimizer.zero_grad()
    policy_loss.backward()
    optimizer.step()
    running = 0.05 * sum(rewards) + 0.95 * running
    print(f"Episode {i_episode}\tLength: {len(rewards)}\tAverage: {running:.4f}")
print("sha256", hashlib.sha256(torch.nn.utils.parameters_to_vector(policy.parameters()).detach().numpy()).hexdigest())
